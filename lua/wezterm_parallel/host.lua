--- All that the plugin wants of WezTerm, in one table: the only module that touches `wezterm`, its windows
--- and its panes.
---
--- It keeps to what 20240203-110809-5046fc22 has. What may fail there (a window that has just been closed, a
--- program that is not there) fails here as nil or false, never as an error in somebody's terminal.

local M = {}

--- The result of a call that may fail; nil if it did.
local function try(call, ...)
  local fine, result = pcall(call, ...)
  if fine then
    return result
  end
end

--- The handlers that have a name, by `wezterm`: a second plugin in the same configuration, from another
--- place, must not have everything done twice.
local NAMED = setmetatable({}, { __mode = 'k' })

local Host = {}
Host.__index = Host

---@param wezterm table
function M.new(wezterm)
  return setmetatable({
    wezterm = wezterm,
    home = wezterm.home_dir,
    environment = os.getenv,
    now_ms = function()
      -- Chrono's words: seconds since the epoch, and three digits of the rest.
      return tonumber(wezterm.time.now():format_utc '%s%3f')
    end,
    json = function(text)
      return try(wezterm.json_parse, text)
    end,
    format = wezterm.format,
    icon = function(name)
      return try(function()
        return wezterm.nerdfonts[name]
      end)
    end,
  }, Host)
end

--- Whether this is the terminal itself, rather than its mux server or `wezterm cli`.
function Host:is_gui()
  return self.wezterm.gui ~= nil
end

function Host:warn(message)
  self.wezterm.log_warn('wezterm-parallel: ' .. message)
end

--- Handlers return nothing: `false` would keep an event from the user's own.
function Host:on(event, handler)
  self.wezterm.on(event, handler)
end

--- Calls a function once, that much later.
function Host:after(seconds, call)
  pcall(self.wezterm.time.call_after, seconds, call)
end

--- What is kept for as long as WezTerm runs, whatever is reloaded: strings, numbers and booleans.
function Host:recall(name)
  return self.wezterm.GLOBAL['wezterm_parallel_' .. name]
end

function Host:remember(name, value)
  self.wezterm.GLOBAL['wezterm_parallel_' .. name] = value
end

-- ---- programs and files -----------------------------------------------------------------------------------

function Host.exists(path)
  local file = io.open(path, 'rb')
  if file then
    file:close()
  end
  return file ~= nil
end

--- Runs a program to its end. In callbacks and events only.
---@param argv string[]
---@return boolean fine
---@return string stdout
---@return string stderr
function Host:run(argv)
  local called, fine, stdout, stderr = pcall(self.wezterm.run_child_process, argv)
  if not called then
    return false, '', ('error: %s cannot be run: %s'):format(argv[1], tostring(fine))
  end
  return fine, stdout, stderr
end

-- ---- actions ----------------------------------------------------------------------------------------------

function Host:callback(handler)
  return self.wezterm.action_callback(handler)
end

--- An action by a name of its own. WezTerm numbers the callbacks of each load: a menu that has stayed open
--- while the configuration was loaded again would reach whichever callback has the number now. A name it
--- either finds again or it does not.
---@param name string
---@param handler function
function Host:named(name, handler)
  local known = NAMED[self.wezterm] or {}
  NAMED[self.wezterm] = known
  name = 'wezterm-parallel-' .. name
  if not known[name] then
    self.wezterm.on(name, function(...)
      known[name](...)
    end)
  end
  known[name] = handler
  return self.wezterm.action.EmitEvent(name)
end

--- Asks for a line of text. The fields `prompt` and `initial_value` would be newer than the oldest WezTerm.
function Host:prompt_line(description, callback)
  return self.wezterm.action.PromptInputLine { description = description, action = callback }
end

function Host:selector(title, choices, callback)
  return self.wezterm.action.InputSelector {
    title = title,
    choices = choices,
    fuzzy = true,
    fuzzy_description = title .. ': ',
    action = callback,
  }
end

---@class wezterm_parallel.Spawned
---@field argv string[]
---@field place 'tab'|'right'|'down'
---@field here boolean whether the active pane's own domain will do
---@field variables? table<string, string> set in its environment

--- Starts a program in a new pane of this machine, whatever machine the active pane is on.
---@param spawned wezterm_parallel.Spawned
function Host:spawn(spawned)
  local command = {
    args = spawned.argv,
    domain = spawned.here and 'CurrentPaneDomain' or { DomainName = 'local' },
    set_environment_variables = spawned.variables,
  }
  if spawned.place == 'tab' then
    return self.wezterm.action.SpawnCommandInNewTab(command)
  end
  local direction = spawned.place == 'right' and 'Right' or 'Down'
  return self.wezterm.action.SplitPane { direction = direction, command = command }
end

function Host:perform(window, pane, action)
  return (pcall(window.perform_action, window, action, pane))
end

-- ---- windows ----------------------------------------------------------------------------------------------

function Host:window_id(window)
  return try(window.window_id, window)
end

function Host:toast(window, words, timeout_ms)
  pcall(window.toast_notification, window, 'wezterm-parallel', words, nil, timeout_ms)
end

--- Sets one side of the status bar, and has WezTerm emit `update-status` again soon: after handlers that
--- set neither side it does not, until something else happens in the window.
function Host:set_status(window, side, words)
  pcall(side == 'left' and window.set_left_status or window.set_right_status, window, words)
end

--- The selected text of a pane; empty if nothing is.
function Host:selection(window, pane)
  return try(window.get_selection_text_for_pane, window, pane) or ''
end

--- The tab that a person looks at in this window; nil while the window has not the focus.
function Host:viewed_tab(window)
  if not try(window.is_focused, window) then
    return nil
  end
  local tab = try(window.active_tab, window)
  return tab and try(tab.tab_id, tab)
end

--- How many tabs a window has.
function Host:tab_count(window)
  local mux_window = try(window.mux_window, window)
  return #(mux_window and try(mux_window.tabs, mux_window) or {})
end

---@class wezterm_parallel.FoundPane
---@field pane_id integer
---@field tab_id integer
---@field variables table<string, string>

--- All panes in all tabs of a window.
---@return wezterm_parallel.FoundPane[]
function Host:panes_of(window)
  local found = {}
  local mux_window = try(window.mux_window, window)
  for _, tab in ipairs(mux_window and try(mux_window.tabs, mux_window) or {}) do
    for _, pane in ipairs(try(tab.panes, tab) or {}) do
      local pane_id, tab_id = try(pane.pane_id, pane), try(tab.tab_id, tab)
      if pane_id and tab_id then
        found[#found + 1] =
          { pane_id = pane_id, tab_id = tab_id, variables = self:user_variables(pane) or {} }
      end
    end
  end
  return found
end

-- ---- panes ------------------------------------------------------------------------------------------------

--- What the programs in a pane have said about it; nil if it has gone.
---@return table<string, string>?
function Host:user_variables(pane)
  return try(pane.get_user_vars, pane)
end

function Host:pane_id(pane)
  return try(pane.pane_id, pane)
end

function Host:tab_of(pane)
  local tab = try(pane.tab, pane)
  return tab and try(tab.tab_id, tab)
end

--- Whether a pane's programs run on this machine: in the GUI itself, in a mux server behind a plain Unix
--- socket, or in a domain that the user says is local.
function Host:is_local(window, pane, local_domains)
  local domain = try(pane.get_domain_name, pane)
  if domain == nil or domain == 'local' then
    return domain ~= nil
  end
  for _, name in ipairs(local_domains) do
    if name == domain then
      return true
    end
  end
  local effective = try(window.effective_config, window)
  for _, unix in ipairs(effective and effective.unix_domains or {}) do
    if unix.name == domain then
      -- With a proxy command the other end may be anywhere.
      return unix.proxy_command == nil
    end
  end
  return false
end

--- The folder in which a pane is; nil if it is not known, or on another machine.
function Host:folder(pane)
  local url = try(pane.get_current_working_dir, pane)
  if url == nil or url.scheme ~= 'file' then
    return nil
  end
  local function first_label(name)
    return (name or ''):lower():match '^[^.]*'
  end
  local host = first_label(url.host)
  if host ~= '' and host ~= 'localhost' and host ~= first_label(self.wezterm.hostname()) then
    return nil
  end
  return url.file_path
end

return M
