--- JSON for the specs, where there is no `wezterm.json_parse`. It takes what is right and raises an error for
--- the rest, as that does.

local M = {}

local value

local ESCAPES = { b = '\b', f = '\f', n = '\n', r = '\r', t = '\t', ['"'] = '"', ['\\'] = '\\', ['/'] = '/' }

local function skip(text, at)
  return text:find('[^ \t\r\n]', at) or #text + 1
end

local function string_at(text, at)
  local pieces, from = {}, at + 1
  while true do
    local stop = text:find('["\\]', from)
    assert(stop, 'an open string')
    pieces[#pieces + 1] = text:sub(from, stop - 1)
    if text:sub(stop, stop) == '"' then
      return table.concat(pieces), stop + 1
    end
    local letter = text:sub(stop + 1, stop + 1)
    if letter == 'u' then
      pieces[#pieces + 1] = utf8.char(tonumber(text:sub(stop + 2, stop + 5), 16))
      from = stop + 6
    else
      pieces[#pieces + 1] = assert(ESCAPES[letter], 'an unknown escape')
      from = stop + 2
    end
  end
end

local function array_at(text, at)
  local result = {}
  at = skip(text, at + 1)
  if text:sub(at, at) == ']' then
    return result, at + 1
  end
  while true do
    result[#result + 1], at = value(text, at)
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == ']' then
      return result, at + 1
    end
    assert(mark == ',', 'a comma is missing')
    at = at + 1
  end
end

local function object_at(text, at)
  local result = {}
  at = skip(text, at + 1)
  if text:sub(at, at) == '}' then
    return result, at + 1
  end
  while true do
    at = skip(text, at)
    local name
    name, at = string_at(text, at)
    at = skip(text, at)
    assert(text:sub(at, at) == ':', 'a colon is missing')
    result[name], at = value(text, at + 1)
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == '}' then
      return result, at + 1
    end
    assert(mark == ',', 'a comma is missing')
    at = at + 1
  end
end

local WORDS = { { 'true', true }, { 'false', false }, { 'null', nil } }

function value(text, at)
  at = skip(text, at)
  local mark = text:sub(at, at)
  if mark == '"' then
    return string_at(text, at)
  elseif mark == '{' then
    return object_at(text, at)
  elseif mark == '[' then
    return array_at(text, at)
  end
  for _, word in ipairs(WORDS) do
    if text:sub(at, at + #word[1] - 1) == word[1] then
      return word[2], at + #word[1]
    end
  end
  local number = assert(text:match('^-?%d+%.?%d*[eE]?[+-]?%d*', at), 'no value')
  return math.tointeger(tonumber(number)) or tonumber(number), at + #number
end

---@param text string
---@return any
function M.parse(text)
  local result, at = value(text, 1)
  assert(skip(text, at) > #text, 'more after the end')
  return result
end

return M
