--- What WezTerm 20240203-110809-5046fc22 hands to handlers (windows, tabs, panes and the rest), and the
--- configuration that a user's file builds, each with what that version documents.

local strict = require 'support.strict'

local M = {}

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

local MUX_WINDOW_METHODS = [[
  active_pane active_tab get_title get_workspace gui_window set_title set_workspace spawn_tab tabs
  tabs_with_info window_id
]]

local URL_FIELDS = 'file_path fragment host password path query scheme username'

local TAB_INFORMATION = 'active_pane is_active tab_id tab_index tab_title window_id window_title'

local PANE_INFORMATION = [[
  current_working_dir domain_name foreground_process_name has_unseen_output height is_active is_zoomed left
  pane_id pane_index pixel_height pixel_width title top tty_name user_vars width
]]

--- Of some hundred options of the configuration, those that the plugin may look at.
local EFFECTIVE =
  'show_tab_index_in_tab_bar tab_and_split_indices_are_zero_based unix_domains use_fancy_tab_bar'

local UNIX_DOMAIN = [[
  connect_automatically local_echo_threshold_ms name no_serve_automatically overlay_lag_indicator
  proxy_command read_timeout serve_command skip_permissions_check socket_path write_timeout
]]

--- What the plugin may set in the configuration, and what an assignment of a key has.
local SETTABLE = 'keys'
local KEY = 'action key mods'
local MODIFIERS = strict.set_of 'ALT CMD CTRL LEADER META NONE OPT SHIFT SUPER WIN'

-- ---- the configuration ------------------------------------------------------------------------------------

--- The same errors as WezTerm would raise for an assignment.
local function check_key(assignment)
  strict.check_fields('an assignment of a key', KEY, assignment)
  assert(type(assignment.key) == 'string' and assignment.key ~= '', 'a key without a name')
  for modifier in (assignment.mods or 'NONE'):gmatch '[^|]+' do
    assert(MODIFIERS[modifier], 'there is no modifier ' .. modifier)
  end
  assert(assignment.action ~= nil, 'a key that does nothing')
end

--- What `wezterm.config_builder()` gives: it takes known options only.
---@param keys? table[] the user's own
function M.config(keys)
  local values = { keys = keys }
  return setmetatable({}, {
    __index = values,
    __newindex = function(_, name, value)
      strict.check_fields('the configuration', SETTABLE, { [name] = true })
      for _, assignment in ipairs(value) do
        check_key(assignment)
      end
      values[name] = value
    end,
  })
end

--- The configuration as windows and titles see it.
---@param given table<string, any>
function M.effective_config(given)
  for _, domain in ipairs(given.unix_domains or {}) do
    strict.fields('UnixDomain.', UNIX_DOMAIN, domain)
  end
  return strict.fields('config.', EFFECTIVE, given)
end

-- ---- tabs and panes ---------------------------------------------------------------------------------------

--- What the handlers of titles are given: TabInformation, with a PaneInformation of this title.
---@param given table<string, any>
---@param title? string
function M.tab_information(given, title)
  local fields = {}
  for name, value in pairs(given) do
    fields[name] = value
  end
  fields.active_pane = title and strict.fields('PaneInformation.', PANE_INFORMATION, { title = title })
  return strict.fields('TabInformation.', TAB_INFORMATION, fields)
end

function M.tab(id, panes)
  return strict.module('tab:', TAB_METHODS, {
    tab_id = function()
      return id
    end,
    panes = function()
      return panes or {}
    end,
  })
end

--- A pane in a folder of this machine, unless `given` says otherwise.
function M.pane(given)
  given = given or {}
  return strict.module('pane:', PANE_METHODS, {
    pane_id = function()
      return given.id or 1
    end,
    tab = function()
      return M.tab(given.tab_id or 1)
    end,
    get_user_vars = function()
      local copy = {}
      for name, value in pairs(given.variables or {}) do
        copy[name] = value
      end
      return copy
    end,
    get_domain_name = function()
      return given.domain or 'local'
    end,
    get_current_working_dir = function()
      if given.no_folder then
        return nil
      end
      local url =
        { scheme = given.scheme or 'file', host = given.host, file_path = given.folder or '/home/me' }
      return strict.fields('Url.', URL_FIELDS, url)
    end,
  })
end

-- ---- windows ----------------------------------------------------------------------------------------------

--- A window with these panes in tabs, as the multiplexer has it.
local function mux_window(panes)
  return strict.module('mux window:', MUX_WINDOW_METHODS, {
    tabs = function()
      local tabs, by_id = {}, {}
      for _, pane in ipairs(panes) do
        local id = pane:tab():tab_id()
        if not by_id[id] then
          by_id[id] = {}
          tabs[#tabs + 1] = M.tab(id, by_id[id])
        end
        table.insert(by_id[id], pane)
      end
      return tabs
    end,
  })
end

--- A window, and what was shown in it. As in WezTerm a status counts when it differs from the one before; any
--- call, whatever it says, has WezTerm come again.
function M.window(given)
  given = given or {}
  local seen = { toasts = {}, performed = {}, status = {}, asked_again = 0 }
  local function set_status(words)
    seen.asked_again = seen.asked_again + 1
    if seen.status[#seen.status] ~= words then
      table.insert(seen.status, words)
    end
  end
  local window = strict.module('window:', WINDOW_METHODS, {
    window_id = function()
      return given.id or 0
    end,
    is_focused = function()
      return given.focused ~= false
    end,
    mux_window = function()
      return mux_window(given.panes or {})
    end,
    active_tab = function()
      return M.tab(given.tab_id or 1)
    end,
    effective_config = function()
      return M.effective_config { unix_domains = given.unix_domains or { { name = 'unix' } } }
    end,
    get_selection_text_for_pane = function()
      return given.selection or ''
    end,
    set_right_status = function(_, words)
      set_status('right:' .. words)
    end,
    set_left_status = function(_, words)
      set_status('left:' .. words)
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
