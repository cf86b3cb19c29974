--- What somebody typed at the prompt of a key: the priority and the workspace in front, and the text itself.
---
--- Pure. `!high fix the tests`, `!180 …` carry a priority and `@api …` a workspace; all other text is taken
--- as it is, `@src/main.rs` too. `queue --edit` reads the same: tests/fixtures/typed.json holds both to it.

local text = require 'wezterm_parallel.text'

local M = {}

local NAMES = { 'low', 'normal', 'high', 'urgent' }

--- One argument of a program may have 128 KiB on Linux; this leaves room for the option's name.
local BYTES_MAX = 120 * 1024

---@class wezterm_parallel.Typed
---@field text string
---@field priority? string a name or a number, as `queue --priority` takes it
---@field workspace? string

--- The word after the exclamation mark: a priority, nothing (then it belongs to the text), or a mistake.
local function priority(word)
  if word:find '^%d+$' then
    if #word > 3 or tonumber(word) > 255 then
      return nil, ('a priority is 0 to 255, not %s'):format(text.line(word, 20))
    end
    return word
  end
  for _, name in ipairs(NAMES) do
    if word:lower() == name then
      return name
    end
  end
  local near = text.nearest(word, NAMES)
  if near then
    return nil, ('there is no priority !%s: did you mean !%s?'):format(text.line(word, 20), near)
  end
end

--- Nothing but the text, checked.
---@param body string
---@return string? text
---@return string? problem
function M.body(body)
  if not body:find '%S' then
    return nil, 'there is nothing to queue'
  elseif body:find('\0', 1, true) then
    return nil, 'the text has a NUL character in it'
  elseif #body > BYTES_MAX then
    return nil,
      ('the text has %d KiB, and %d are the most: write it to a file and name that'):format(
        #body // 1024,
        BYTES_MAX // 1024
      )
  end
  return body
end

--- Takes a typed line apart.
---@param line string
---@return wezterm_parallel.Typed? typed
---@return string? problem
function M.parse(line)
  local typed, rest = {}, line
  while true do
    local sign, word, after = rest:match '^%s*([!@])(%S+)%s*(.*)$'
    local value, problem
    if sign == '!' and not typed.priority then
      value, problem = priority(word)
      typed.priority = value
    elseif sign == '@' and not typed.workspace then
      -- Names of files have a dot or a slash in them, and are meant for Claude.
      value = word:match '^[%w_][%w_-]*$'
      typed.workspace = value
    end
    if problem then
      return nil, problem
    elseif not value then
      break
    end
    rest = after
  end
  local body, problem = M.body(rest)
  typed.text = body
  return body and typed, problem
end

return M
