--- The options: their defaults, and a check that names what is wrong and goes on with the default.
---
--- Pure. A typo in a terminal's configuration must not cost anybody the terminal: nothing here raises errors.

local text = require 'wezterm_parallel.text'

local M = {}

---@class wezterm_parallel.Chord
---@field key string
---@field mods? string

---@class wezterm_parallel.Options
---@field bin? string the program; found by itself if absent
---@field editor? string the editor of `queue --edit`; else the one that the environment names
---@field env table<string, string> set for every task that is queued from here
---@field status_file? string where the daemon writes status.json
---@field local_domains string[] domains of WezTerm besides `local` whose panes are on this machine
---@field status false|table
---@field keys false|table<string, false|wezterm_parallel.Chord>
---@field toasts false|table
---@field tabs false|table
---@field menu table
---@field panes table

--- Icons by name; the values of `nerd` are names in `wezterm.nerdfonts`.
M.ICONS = {
  nerd = {
    icon = 'md_robot_outline',
    queue_icon = 'md_tray_full',
    blocked_icon = 'md_timer_sand',
    attention_icon = 'md_comment_question',
    failed_icon = 'md_alert_circle',
    paused_icon = 'md_pause',
    process_icon = 'md_cog',
    error_icon = 'md_database_alert',
    off_icon = 'md_power_off',
  },
  ascii = {
    icon = 'wp',
    queue_icon = 'q',
    blocked_icon = 'wait:',
    attention_icon = '?',
    failed_icon = '!',
    paused_icon = '||',
    process_icon = 'proc!',
    error_icon = 'error:',
    off_icon = 'wp',
  },
}

--- What applies where the user says nothing.
M.DEFAULTS = {
  env = {},
  local_domains = {},
  status = {
    format = ' {icon} {running}/{slots}[ {queue_icon} {queued}][ {paused_icon} {paused}]'
      .. '[ {blocked_icon} {blocked}][ {attention_icon} {attention}][ {failed_icon} {new_failed}]'
      .. '[ {process_icon} {failed_processes}][ {error_icon} {error}] ',
    off_format = ' {off_icon} daemon off ',
    side = 'right',
    icons = 'nerd',
    colors = {
      attention = 'Yellow',
      new_failed = 'Red',
      failed_processes = 'Red',
      error = 'Red',
      off = '#909090',
      paused = 'Olive',
    },
    interval_ms = 250,
    stale_ms = 15000,
  },
  keys = {
    prompt = { key = 'a', mods = 'CTRL|SHIFT' },
    selection = { key = 'y', mods = 'CTRL|SHIFT' },
    editor = { key = 'e', mods = 'CTRL|SHIFT' },
    shell = { key = 's', mods = 'CTRL|SHIFT' },
    menu = { key = 'j', mods = 'CTRL|SHIFT' },
    panes = { key = 'g', mods = 'CTRL|SHIFT' },
    pause = { key = 'o', mods = 'CTRL|SHIFT' },
  },
  toasts = { attention = true, failure = true, empty = true, timeout_ms = 5000 },
  tabs = { attention = '? ', failed = '! ', ended = '* ' },
  menu = { limit = 200, place = 'tab' },
  panes = { layout = 'grid', place = 'tab' },
}

-- ---- what a value may be ----------------------------------------------------------------------------------

local function of_type(name, words)
  return function(value)
    return type(value) == name and value or nil, words
  end
end

local STRING = of_type('string', 'a text')

local function boolean(value)
  if type(value) == 'boolean' then
    return value
  end
  return nil, 'true or false'
end

local function whole(least, most)
  return function(value)
    if math.type(value) == 'integer' and value >= least and value <= most then
      return value
    end
    return nil, ('a whole number from %d to %d'):format(least, most)
  end
end

local function one_of(words)
  return function(value)
    for _, word in ipairs(words) do
      if value == word then
        return value
      end
    end
    return nil, "'" .. table.concat(words, "' or '") .. "'"
  end
end

local function list_of_strings(value)
  if type(value) ~= 'table' then
    return nil, 'a list of texts'
  end
  for _, entry in pairs(value) do
    if type(entry) ~= 'string' then
      return nil, 'a list of texts'
    end
  end
  return value
end

local function environment(value)
  local words = 'a table of names and texts'
  if type(value) ~= 'table' then
    return nil, words
  end
  for name, entry in pairs(value) do
    if type(name) ~= 'string' or not name:find '^[%a_][%w_]*$' or type(entry) ~= 'string' then
      return nil, words
    end
  end
  return value
end

local function chord(value)
  if value == false then
    return value
  end
  local fits = type(value) == 'table'
    and type(value.key) == 'string'
    and value.key ~= ''
    and (value.mods == nil or type(value.mods) == 'string')
  if fits then
    return { key = value.key, mods = value.mods }
  end
  return nil, "false or a table like { key = 'a', mods = 'CTRL|SHIFT' }"
end

local function icons(value)
  if M.ICONS[value] then
    return value
  end
  local words = "'nerd', 'ascii' or a table of texts by the icon's name"
  if type(value) ~= 'table' then
    return nil, words
  end
  for name, icon in pairs(value) do
    if not M.ICONS.ascii[name] or type(icon) ~= 'string' then
      return nil, words
    end
  end
  return value
end

--- The fields that a format may name, icons aside.
M.FIELDS = {
  'queued',
  'running',
  'slots',
  'paused',
  'blocked',
  'attention',
  'failed',
  'new_failed',
  'processes',
  'failed_processes',
  'error',
}

local function known_fields(value)
  if type(value) ~= 'string' then
    return nil, 'a text'
  end
  local names = { table.unpack(M.FIELDS) }
  for name in pairs(M.ICONS.ascii) do
    names[#names + 1] = name
  end
  table.sort(names)
  for field in value:gmatch '{([^{}]*)}' do
    local known = false
    for _, name in ipairs(names) do
      known = known or name == field
    end
    if not known then
      local near = text.nearest(field, names)
      local hint = near and (': did you mean {%s}?'):format(near) or ''
      return nil, ('a text with known fields, and {%s} is none%s'):format(text.line(field, 30), hint)
    end
  end
  return value
end

--- A function checks a value; a table is a section with options of its own.
local CHECKS = {
  bin = STRING,
  editor = STRING,
  env = environment,
  status_file = STRING,
  local_domains = list_of_strings,
  status = {
    format = known_fields,
    off_format = known_fields,
    side = one_of { 'right', 'left' },
    icons = icons,
    colors = {
      queued = STRING,
      running = STRING,
      slots = STRING,
      paused = STRING,
      blocked = STRING,
      attention = STRING,
      failed = STRING,
      new_failed = STRING,
      processes = STRING,
      failed_processes = STRING,
      error = STRING,
      off = STRING,
    },
    interval_ms = whole(0, 60000),
    stale_ms = whole(6000, 3600000),
  },
  keys = {
    prompt = chord,
    selection = chord,
    editor = chord,
    shell = chord,
    menu = chord,
    panes = chord,
    pause = chord,
  },
  toasts = { attention = boolean, failure = boolean, empty = boolean, timeout_ms = whole(0, 600000) },
  tabs = { attention = STRING, failed = STRING, ended = STRING },
  menu = { limit = whole(1, 10000), place = one_of { 'tab', 'right', 'down' } },
  panes = {
    layout = one_of { 'grid', 'columns', 'rows', 'tabs' },
    place = one_of { 'tab', 'window', 'here' },
  },
}

--- The sections that `false` switches off.
local OPTIONAL = { status = true, keys = true, toasts = true, tabs = true }

-- ---- resolving --------------------------------------------------------------------------------------------

local function copy(value)
  if type(value) ~= 'table' then
    return value
  end
  local result = {}
  for key, entry in pairs(value) do
    result[key] = copy(entry)
  end
  return result
end

local resolve_section

--- One option into `result`, where its default already is.
local function resolve_one(result, path, name, check, value, problems)
  local full = path .. name
  if type(check) == 'function' then
    local good, words = check(value)
    if good == nil then
      problems[#problems + 1] = ('option %s must be %s'):format(full, words)
    else
      result[name] = copy(good)
    end
  elseif value == false and path == '' and OPTIONAL[name] then
    result[name] = false
  elseif type(value) == 'table' then
    resolve_section(result[name], full .. '.', check, value, problems)
  elseif value ~= true or not OPTIONAL[name] then
    local or_false = OPTIONAL[name] and path == '' and ', or false' or ''
    problems[#problems + 1] = ('option %s must be a table%s'):format(full, or_false)
  end
end

function resolve_section(result, path, checks, given, problems)
  for _, name in ipairs(text.sorted_keys(given)) do
    local check = checks[name]
    if check == nil then
      local near = text.nearest(name, text.sorted_keys(checks))
      local hint = near and (': did you mean %s%s?'):format(path, near) or ''
      problems[#problems + 1] = ('there is no option %s%s%s'):format(path, text.line(name, 40), hint)
    else
      resolve_one(result, path, name, check, given[name], problems)
    end
  end
end

--- The options with defaults for what is absent or wrong, and a line about each thing that is wrong.
---@param given any
---@return wezterm_parallel.Options options
---@return string[] problems
function M.resolve(given)
  local options, problems = copy(M.DEFAULTS), {}
  if type(given) == 'table' then
    resolve_section(options, '', CHECKS, given, problems)
  elseif given ~= nil then
    problems[1] = 'the options must be a table'
  end
  return options, problems
end

--- Every option's full name, for the documentation's test.
---@return string[]
function M.names()
  local names = {}
  local function collect(path, checks)
    for _, name in ipairs(text.sorted_keys(checks)) do
      if type(checks[name]) == 'table' then
        collect(path .. name .. '.', checks[name])
      else
        names[#names + 1] = path .. name
      end
    end
  end
  collect('', CHECKS)
  return names
end

return M
