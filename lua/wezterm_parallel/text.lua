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

--- Longer words are no misspelt names.
local WORD_CHARACTERS_MAX = 64

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

--- How many letters must be changed, added, left out or swapped with their neighbour to make one word of the
--- other.
local function distance(from, to)
  local rows = { [0] = {} }
  for column = 0, #to do
    rows[0][column] = column
  end
  for line = 1, #from do
    local row, above = { [0] = line }, rows[line - 1]
    for column = 1, #to do
      local cost = from[line] == to[column] and 0 or 1
      local best = math.min(above[column - 1] + cost, above[column] + 1, row[column - 1] + 1)
      local swapped = line > 1
        and column > 1
        and from[line] == to[column - 1]
        and from[line - 1] == to[column]
      row[column] = swapped and math.min(best, rows[line - 2][column - 2] + 1) or best
    end
    rows[line] = row
  end
  return rows[#from][#to]
end

local function begins(word, with)
  return word:sub(1, #with) == with
end

--- The candidate that was probably meant, if one is near. The program itself uses the same rules: a word that
--- the other one begins with is near, and so is one with few other letters.
---@param word string
---@param candidates string[]
---@return string?
function M.nearest(word, candidates)
  local lower = word:lower()
  if word == '' or (utf8.len(lower) or math.huge) > WORD_CHARACTERS_MAX then
    return nil
  end
  local letters = { utf8.codepoint(lower, 1, -1) }
  local best, best_distance
  for _, candidate in ipairs(candidates) do
    local name = candidate:lower()
    local name_letters = { utf8.codepoint(name, 1, -1) }
    local is_prefix = #lower >= 3 and (begins(name, lower) or begins(lower, name))
    local far = is_prefix and 1 or distance(letters, name_letters)
    local allowed = math.max(1, math.min(#letters, #name_letters) // 3)
    if far <= allowed and far < (best_distance or math.huge) then
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
