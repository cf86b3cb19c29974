--- A `wezterm` that has what 20240203-110809-5046fc22 has, by its documentation, and raises an error for
--- anything else: a name, a method, an action or one of an action's fields.
---
--- It records what it was asked to do. Programs may be run only within a callback or an event.

local json = require 'support.json'

local M = {}

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

local WINDOW_METHODS = [[
  active_key_table active_pane active_tab active_workspace composition_status copy_to_clipboard current_event
  effective_config focus get_appearance get_config_overrides get_dimensions get_selection_escapes_for_pane
  get_selection_text_for_pane is_focused keyboard_modifiers leader_is_active maximize mux_window
  perform_action restore set_config_overrides set_inner_size set_left_status set_position set_right_status
  toast_notification toggle_fullscreen window_id
]]

local PANE_METHODS = [[
  activate get_current_working_dir get_cursor_position get_dimensions get_domain_name
  get_foreground_process_info get_foreground_process_name get_lines_as_escapes get_lines_as_text
  get_logical_lines_as_text get_metadata get_semantic_zone_at get_semantic_zones get_text_from_region
  get_text_from_semantic_zone get_title get_tty_name get_user_vars has_unseen_output inject_output
  is_alt_screen_active move_to_new_tab move_to_new_window mux_pane pane_id paste send_paste send_text split
  tab window
]]

local TAB_METHODS = [[
  activate active_pane get_pane_direction get_size get_title panes panes_with_info rotate_clockwise
  rotate_counter_clockwise set_title set_zoomed tab_id window
]]

--- The actions that the plugin may use, with the fields that they have.
local ACTIONS = {
  PromptInputLine = 'action description',
  InputSelector = 'action alphabet choices description fuzzy fuzzy_description title',
  SpawnCommandInNewTab = 'args cwd domain label position set_environment_variables',
  SplitPane = 'command direction size top_level',
}

--- Fields without which the action is refused.
local REQUIRED = {
  PromptInputLine = { 'action', 'description' },
  InputSelector = { 'action', 'choices' },
  SplitPane = { 'direction' },
}

--- Names in `wezterm.nerdfonts` of that version.
local NERD_FONTS = [[
  md_alert_circle md_comment_question md_database_alert md_pause md_power_off md_robot_outline md_timer_sand
  md_tray_full
]]

local FORMAT_ITEMS = 'Attribute Background Foreground Text'

local function set_of(words)
  local set = {}
  for word in words:gmatch '%S+' do
    set[word] = true
  end
  return set
end

--- A table whose missing names are errors that say whether the version or only this stub lacks them.
local function strict(what, documented, has)
  local known = set_of(documented)
  for name in pairs(has) do
    assert(known[name], ('the stub itself has %s%s, which is not documented'):format(what, name))
  end
  return setmetatable(has, {
    __index = function(_, name)
      if name == 'gui' then
        return nil
      end
      local whose = known[name] and 'the stub' or '20240203'
      error(('%s has no %s%s'):format(whose, what, tostring(name)), 2)
    end,
    __newindex = function(_, name)
      error(('%s%s is not to be set'):format(what, tostring(name)), 2)
    end,
  })
end

--- Their glyphs matter to nobody here.
local function nerd_fonts()
  local glyphs = {}
  for name in pairs(set_of(NERD_FONTS)) do
    glyphs[name] = '<' .. name .. '>'
  end
  return glyphs
end

local function check_fields(name, fields)
  local known = set_of(ACTIONS[name])
  for field in pairs(fields) do
    if not known[field] then
      error(('20240203 has no field %s in %s'):format(tostring(field), name), 3)
    end
  end
  for _, field in ipairs(REQUIRED[name] or {}) do
    if fields[field] == nil then
      error(('%s needs the field %s'):format(name, field), 3)
    end
  end
end

local function actions()
  return setmetatable({}, {
    __index = function(_, name)
      if not ACTIONS[name] then
        error('the stub knows no action ' .. tostring(name), 2)
      end
      return function(fields)
        check_fields(name, fields)
        return { name = name, fields = fields }
      end
    end,
  })
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

local function format(items)
  local pieces = {}
  local known = set_of(FORMAT_ITEMS)
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
---@param options? { gui?: boolean, json?: fun(text: string): any }
function M.new(options)
  options = options or {}
  local record = {
    log = {},
    handlers = {},
    ran = {},
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
  local wezterm = strict('wezterm.', NAMES, {
    GLOBAL = global(),
    action = actions(),
    action_callback = function(handler)
      return { name = 'EmitEvent', handler = handler }
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
    nerdfonts = strict('wezterm.nerdfonts.', NERD_FONTS, nerd_fonts()),
    on = function(name, handler)
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
    time = strict('wezterm.time.', 'call_after now parse parse_rfc3339', {
      now = function()
        return strict('time:', 'format format_utc sun_times', {
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
  --- The first handler alone, which is what WezTerm does for the titles of tabs.
  function record.ask(name, ...)
    local handler = (record.handlers[name] or {})[1]
    return handler and call(handler, ...)
  end
  --- Presses the key of an action, or chooses or types something in one that asks.
  function record.press(action, window, pane, ...)
    local handler = action.handler or action.fields.action.handler
    call(handler, window, pane, ...)
  end
  return wezterm, record
end

-- ---- windows, tabs, panes --------------------------------------------------------------------------------

function M.tab(id)
  return strict('tab:', TAB_METHODS, {
    tab_id = function()
      return id
    end,
  })
end

--- A pane in a folder of this machine, unless `given` says otherwise.
function M.pane(given)
  given = given or {}
  return strict('pane:', PANE_METHODS, {
    pane_id = function()
      return given.id or 1
    end,
    tab = function()
      return M.tab(given.tab_id or 1)
    end,
    get_domain_name = function()
      return given.domain or 'local'
    end,
    get_current_working_dir = function()
      if given.no_folder then
        return nil
      end
      return { scheme = given.scheme or 'file', host = given.host, file_path = given.folder or '/home/me' }
    end,
  })
end

--- A window, and what was shown in it.
function M.window(given)
  given = given or {}
  local seen = { toasts = {}, performed = {}, status = {} }
  local window = strict('window:', WINDOW_METHODS, {
    window_id = function()
      return given.id or 0
    end,
    is_focused = function()
      return given.focused ~= false
    end,
    active_tab = function()
      return M.tab(given.tab_id or 1)
    end,
    effective_config = function()
      return { unix_domains = given.unix_domains or { { name = 'unix' } } }
    end,
    get_selection_text_for_pane = function()
      return given.selection or ''
    end,
    set_right_status = function(_, words)
      table.insert(seen.status, 'right:' .. words)
    end,
    set_left_status = function(_, words)
      table.insert(seen.status, 'left:' .. words)
    end,
    toast_notification = function(_, title, words, url, timeout_ms)
      assert(title == 'wezterm-parallel' and url == nil and math.type(timeout_ms) == 'integer')
      table.insert(seen.toasts, words)
    end,
    perform_action = function(_, action, pane)
      assert(type(action.name) == 'string' and pane)
      table.insert(seen.performed, action)
    end,
  })
  return window, seen
end

return M
