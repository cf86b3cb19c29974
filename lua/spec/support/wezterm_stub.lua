--- A `wezterm` that has what 20240203-110809-5046fc22 has, by its documentation, and raises an error for
--- anything else: a name, a method, a field, an event, an action or one of an action's fields.
---
--- It records what it was asked to do. Programs may be run only within a callback or an event.

local actions = require 'support.wezterm_actions'
local json = require 'support.json'
local objects = require 'support.wezterm_objects'
local strict = require 'support.strict'

local M = {
  config = objects.config,
  effective_config = objects.effective_config,
  pane = objects.pane,
  tab_information = objects.tab_information,
  window = objects.window,
}

--- Every name in the module `wezterm` of that version.
local NAMES = [[
  GLOBAL action action_callback add_to_config_reload_watch_list background_child_process battery_info color
  column_width config_builder config_dir config_file default_hyperlink_rules default_ssh_domains
  default_wsl_domains emit enumerate_ssh_hosts executable_dir font font_with_fallback format
  get_builtin_color_schemes glob gradient_colors gui has_action home_dir hostname json_encode json_parse
  log_error log_info log_warn mux nerdfonts on open_with pad_left pad_right permute_any_mods
  permute_any_or_no_mods plugin procinfo read_dir reload_configuration run_child_process running_under_wsl
  shell_join_args shell_quote_arg shell_split sleep_ms split_by_newlines strftime strftime_utc target_triple
  time to_string truncate_left truncate_right url utf16_to_utf8 version
]]

--- The events of that version.
local EVENTS = [[
  augment-command-palette bell format-tab-title format-window-title gui-attached gui-startup
  mux-is-process-stateful mux-startup new-tab-button-click open-uri update-right-status update-status
  user-var-changed window-config-reloaded window-focus-changed window-resized
]]

--- Names in `wezterm.nerdfonts` of that version.
local NERD_FONTS = [[
  md_alert_circle md_cog md_comment_question md_database_alert md_pause md_power_off md_robot_outline
  md_timer_sand md_tray_full
]]

local FORMAT_ITEMS = 'Attribute Background Foreground Text'

--- Their glyphs matter to nobody here.
local function nerd_fonts()
  local glyphs = {}
  for name in pairs(strict.set_of(NERD_FONTS)) do
    glyphs[name] = '<' .. name .. '>'
  end
  return glyphs
end

--- `wezterm.GLOBAL` takes plain values only, and `nil` for what is not there.
local function global()
  local values = {}
  return setmetatable({}, {
    __index = function(_, name)
      return values[name]
    end,
    __newindex = function(_, name, value)
      local kind = type(value)
      assert(kind == 'string' or kind == 'number' or kind == 'boolean', 'GLOBAL takes no ' .. kind)
      values[name] = value
    end,
  })
end

--- Anybody may have events of his own, with his name in front.
local function check_event(name)
  local known = strict.set_of(EVENTS)[name] or name:find '^wezterm%-parallel%-'
  assert(known, '20240203 has no event ' .. name)
end

local function format(items)
  local pieces = {}
  local known = strict.set_of(FORMAT_ITEMS)
  for index, item in ipairs(items) do
    if item == 'ResetAttributes' then
      pieces[index] = '<>'
    else
      local name, value = next(item)
      assert(known[name], 'wezterm.format has no item ' .. tostring(name))
      pieces[index] = name == 'Text' and value or '<' .. (value.AnsiColor or value.Color) .. '>'
    end
  end
  return table.concat(pieces)
end

--- A `wezterm`, and the record of what was done with it.
--- With the `global` of a former one the configuration is loaded again.
---@param options? { gui?: boolean, json?: fun(text: string): any, global?: table }
function M.new(options)
  options = options or {}
  local record = {
    log = {},
    handlers = {},
    callbacks = 0,
    ran = {},
    timers = {},
    now_ms = 1767225600000,
    depth = 0,
    answer = function()
      return true, '', ''
    end,
  }
  local function call(handler, ...)
    record.depth = record.depth + 1
    local fine, result = pcall(handler, ...)
    record.depth = record.depth - 1
    assert(fine, result)
    return result
  end
  local wezterm = strict.module('wezterm.', NAMES, {
    GLOBAL = options.global or global(),
    action = actions.new(),
    action_callback = function(handler)
      -- The numbers begin anew with each load, as WezTerm's do.
      local name = 'user-defined-' .. record.callbacks
      record.callbacks = record.callbacks + 1
      record.handlers[name] = { handler }
      return { name = 'EmitEvent', event = name }
    end,
    format = format,
    gui = options.gui ~= false and {} or nil,
    home_dir = '/home/me',
    hostname = function()
      return 'desk.example.org'
    end,
    json_parse = options.json or json.parse,
    log_warn = function(message)
      table.insert(record.log, message)
    end,
    nerdfonts = strict.module('wezterm.nerdfonts.', NERD_FONTS, nerd_fonts()),
    on = function(name, handler)
      check_event(name)
      record.handlers[name] = record.handlers[name] or {}
      table.insert(record.handlers[name], handler)
    end,
    run_child_process = function(argv)
      assert(record.depth > 0, 'a program is started while the configuration loads')
      for _, argument in ipairs(argv) do
        assert(type(argument) == 'string', 'an argument that is no text')
      end
      table.insert(record.ran, argv)
      return record.answer(argv)
    end,
    time = strict.module('wezterm.time.', 'call_after now parse parse_rfc3339', {
      call_after = function(seconds, handler)
        assert(seconds > 0)
        table.insert(record.timers, handler)
      end,
      now = function()
        return strict.module('time:', 'format format_utc sun_times', {
          format_utc = function(_, words)
            assert(words == '%s%3f', 'the stub knows no other format')
            return tostring(record.now_ms)
          end,
        })
      end,
    }),
  })
  --- Calls the handlers of an event as WezTerm does: all in turn, until one returns false.
  function record.emit(name, ...)
    for _, handler in ipairs(record.handlers[name] or {}) do
      if call(handler, ...) == false then
        return
      end
    end
  end
  --- Lets the timers that were set run out.
  function record.ring()
    local timers = record.timers
    record.timers = {}
    for _, handler in ipairs(timers) do
      call(handler)
    end
    return #timers
  end
  --- The first handler alone, which is what WezTerm does for the titles of tabs.
  function record.ask(name, ...)
    local handler = (record.handlers[name] or {})[1]
    return handler and call(handler, ...)
  end
  --- Presses the key of an action, or chooses or types something in one that asks. It goes by the event's
  --- name alone, also from what was opened before the configuration was loaded again.
  function record.press(action, window, pane, ...)
    record.emit(action.event or action.fields.action.event, window, pane, ...)
  end
  return wezterm, record
end

return M
