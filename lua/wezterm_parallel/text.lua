--- Words for people: what others wrote is made safe to show, and a misspelt name gets a suggestion.
---
--- Pure. Task commands, labels and user vars come from models and programs: nothing of them may reach the
--- terminal as an escape sequence, or turn the direction of the text around.

local M = {}

--- Invisible characters that change how a line reads: C1 controls, marks and overrides of direction.
local HIDDEN = {
  '\xC2[\x80-\x9F]',
  '\xE2\x80[\x8B-\x8F\xA8-\xAE]',
  '\xE2\x81[\xA0-\xA9]',
  '\xEF\xBB\xBF',
}

--- One line of visible text, at most so many characters long.
---@param value any
---@param characters_max integer
---@return string
function M.line(value, characters_max)
  local text = tostring(value)
  if not utf8.len(text) then
    text = text:gsub('[\x80-\xFF]', '?')
  end
  for _, hidden in ipairs(HIDDEN) do
    text = text:gsub(hidden, '')
  end
  text = text:gsub('%c+', ' '):gsub('^ +', ''):gsub(' +$', '')
  if utf8.len(text) <= characters_max then
    return text
  end
  return text:sub(1, utf8.offset(text, characters_max) - 1) .. '…'
end

--- How many letters must be changed, added or left out to make one word of the other.
local function distance(from, to)
  local row = {}
  for column = 0, #to do
    row[column] = column
  end
  for line = 1, #from do
    local diagonal = row[0]
    row[0] = line
    for column = 1, #to do
      local same = from:byte(line) == to:byte(column)
      local best = math.min(diagonal + (same and 0 or 1), row[column] + 1, row[column - 1] + 1)
      diagonal, row[column] = row[column], best
    end
  end
  return row[#to]
end

--- The candidate that was probably meant, if one is near.
---@param word string
---@param candidates string[]
---@return string?
function M.nearest(word, candidates)
  -- Two letters that have changed places are two changes.
  local far_max = #word < 4 and 1 or math.max(2, #word // 3)
  local best, best_distance = nil, far_max + 1
  for _, candidate in ipairs(candidates) do
    local far = distance(word:lower(), candidate:lower())
    if far < best_distance then
      best, best_distance = candidate, far
    end
  end
  return best
end

--- The keys of a table in alphabetical order, so that messages and lists do not depend on chance.
---@param map table<string, any>
---@return string[]
function M.sorted_keys(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

return M
