--- The key assignments: appended to the user's own, never in the place of one.
---
--- Pure. WezTerm takes the last assignment of a key, so one that the user already has is left out here.

local M = {}

--- The keys' names and what they do, in the order of the documentation.
M.NAMES = { 'prompt', 'selection', 'editor', 'shell', 'menu', 'panes', 'pause' }

local MODIFIERS = {
  CTRL = 'CTRL',
  SHIFT = 'SHIFT',
  ALT = 'ALT',
  OPT = 'ALT',
  META = 'ALT',
  SUPER = 'SUPER',
  CMD = 'SUPER',
  WIN = 'SUPER',
  LEADER = 'LEADER',
}

--- One name for all the ways to write the same key: `A` with CTRL is `a` with CTRL|SHIFT.
---@param key any
---@param mods any
---@return string
function M.chord(key, mods)
  local pressed = {}
  for word in tostring(mods or ''):upper():gmatch '[%w_]+' do
    if MODIFIERS[word] then
      pressed[MODIFIERS[word]] = true
    end
  end
  key = tostring(key):gsub('^mapped:', '')
  if key:find '^%u$' then
    pressed.SHIFT = true
    key = key:lower()
  end
  local names = {}
  for name in pairs(pressed) do
    names[#names + 1] = name
  end
  table.sort(names)
  names[#names + 1] = key
  return table.concat(names, '+')
end

--- The user's keys with ours behind them.
---@param existing any `config.keys`
---@param chords table<string, false|wezterm_parallel.Chord>
---@param actions table<string, any>
---@return table[] keys
---@return string[] taken names of ours whose key the user has given to something else
function M.append(existing, chords, actions)
  local keys, held, taken = {}, {}, {}
  for _, assignment in ipairs(type(existing) == 'table' and existing or {}) do
    keys[#keys + 1] = assignment
    if type(assignment) == 'table' then
      held[M.chord(assignment.key, assignment.mods)] = true
    end
  end
  for _, name in ipairs(M.NAMES) do
    local chord = chords[name]
    if chord then
      local mine = M.chord(chord.key, chord.mods)
      if held[mine] then
        taken[#taken + 1] = name
      else
        held[mine] = true
        keys[#keys + 1] = { key = chord.key, mods = chord.mods, action = actions[name] }
      end
    end
  end
  return keys, taken
end

return M
