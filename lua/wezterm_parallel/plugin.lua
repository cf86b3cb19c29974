--- Puts the modules together: what a user's wezterm.lua gets from `require`.
---
--- While a configuration loads nothing is started, read or asked: WezTerm loads it several times over, in its
--- mux server and in `wezterm cli` too. All work is done in keys and events.

local actions = require 'wezterm_parallel.actions'
local config = require 'wezterm_parallel.config'
local hosts = require 'wezterm_parallel.host'
local keys = require 'wezterm_parallel.keys'
local notices = require 'wezterm_parallel.notices'
local statuses = require 'wezterm_parallel.status'
local tabs = require 'wezterm_parallel.tabs'
local text = require 'wezterm_parallel.text'

local M = {}

--- With a bar of the user's own, who knows whether it keeps the events coming.
local ALONE_SECONDS = 1

local RESET = '\27[0m'

---@class wezterm_parallel.Plugin
---@field actions table<string, any> the key assignments by name, after `apply_to_config`
local Plugin = {}
Plugin.__index = Plugin

--- A plugin for this `wezterm`.
---@param wezterm table
---@return table plugin its functions take no `self`: users call them with a dot
function M.new(wezterm)
  local self = setmetatable({
    host = hosts.new(wezterm),
    options = config.resolve(nil),
    timers = {},
    tab_counts = {},
    focused = {},
    cleared = {},
    problems = {},
  }, Plugin)
  local exported = { actions = {} }
  function exported.apply_to_config(builder, options)
    self:guard('the configuration', self.apply, self, builder, options, exported.actions)
  end
  --- The status as plain text, for a bar of one's own.
  function exported.status_text()
    return self:guard('the status', self.status_text, self) or ''
  end
  --- The same with colours, as `window:set_right_status` takes it.
  function exported.status_formatted()
    return self:guard('the status', self.status_text, self, true) or ''
  end
  --- The same as a component of tabline.wez, which calls it with the window.
  function exported.tabline(window)
    return self:guard('the status', self.status_for, self, window) or ''
  end
  --- The marker for a tab in a `format-tab-title` of one's own; empty if there is none.
  function exported.tab_marker(tab)
    return self:guard('a tab', self.marker, self, tab) or ''
  end
  return exported
end

--- Calls what must not break the terminal: an error is a line in WezTerm's log, once for each place.
function Plugin:guard(place, call, ...)
  local fine, result = pcall(call, ...)
  if fine then
    return result
  end
  self.failed = self.failed or {}
  if not self.failed[place] then
    self.failed[place] = true
    self.host:warn(('%s: %s'):format(place, tostring(result)))
  end
end

--- A handler of an event or a key that cannot raise an error, and returns nothing.
function Plugin:handler(place, call)
  return function(...)
    self:guard(place, call, self, ...)
  end
end

-- ---- applying ---------------------------------------------------------------------------------------------

function Plugin:apply(builder, given, exported)
  self.options, self.problems = config.resolve(given)
  self.status = nil
  for _, problem in ipairs(self.problems) do
    self.host:warn(problem)
  end
  local function looked(failed)
    self:current_status():look(failed)
  end
  local function handler(place, call)
    return function(...)
      self:guard(place, call, ...)
    end
  end
  self.actions = actions.new(self.host, self.options, looked)
  for name, action in pairs(self.actions:assignments(handler)) do
    exported[name] = action
  end
  if self.options.keys then
    local appended, taken = keys.append(builder.keys, self.options.keys, exported)
    builder.keys = appended
    for _, name in ipairs(taken) do
      self.host:warn(('keys.%s is left out: the configuration has its key for something else'):format(name))
    end
  end
  if self.host:is_gui() and not self.listens then
    self.listens = true
    self.host:on('update-status', self:handler('update-status', self.on_update))
    if self.options.tabs then
      self.host:on('user-var-changed', self:handler('user-var-changed', self.on_variable))
    end
  end
end

-- ---- the status -------------------------------------------------------------------------------------------

--- The one status for all windows. Made on first use: a user may ask for it before, or without, options.
function Plugin:current_status()
  if not self.status then
    local options = self.options.status or config.DEFAULTS.status
    self.status = statuses.new(self.host, options, self.options.status_file)
  end
  return self.status
end

function Plugin:status_text(formatted)
  local status = self:current_status()
  self:read(nil, status)
  return formatted and status.formatted or status.plain
end

function Plugin:status_for(window)
  local status = self:current_status()
  self:read(window, status)
  return status.plain
end

--- Reads the file, and tells this window what is news. Without a window there is nobody to tell: then the
--- next window's turn finds the same difference.
function Plugin:read(window, status)
  status:update()
  local before, after = self.told, status.fresh and status.snapshot
  local toasts = self.options.toasts
  if not after or after == before or (before and toasts and not window) then
    return
  end
  self.told = after
  for _, notice in ipairs(before and toasts and notices.between(before, after) or {}) do
    if toasts[notice.kind] then
      self.host:toast(window, notice.words, toasts.timeout_ms)
    end
  end
end

function Plugin:on_update(window)
  self:report_problems(window)
  self:title_tabs()
  local other_marks = self.options.tabs and self:look_at_tabs(window)
  local status = self:current_status()
  self:read(window, status)
  self:clear_former_side(window)
  if self.options.status then
    -- WezTerm draws its tabs anew when a status changes, also by an escape that changes nothing.
    local words = status.formatted .. (other_marks and RESET or '')
    -- Also when it says what it said before: WezTerm compares by itself, and comes again only after this.
    self.host:set_status(window, self.options.status.side, words)
  else
    self:come_again(window)
  end
end

--- A window keeps what was set last: text from before the options were changed would stand there for ever.
function Plugin:clear_former_side(window)
  local side = self.options.status and self.options.status.side or ''
  if not self.former_side then
    self.former_side = self.host:recall 'side' or ''
    self.host:remember('side', side)
  end
  local id = self.host:window_id(window)
  if self.former_side == '' or self.former_side == side or id == nil or self.cleared[id] then
    return
  end
  self.cleared[id] = true
  self.host:set_status(window, self.former_side, '')
end

--- Toasts and tabs must not depend on what somebody else's bar does. One timer for each window; a window that
--- has been closed ends its own.
function Plugin:come_again(window)
  local id = self.host:window_id(window)
  if id == nil or self.timers[id] then
    return
  end
  self.timers[id] = true
  self.host:after(ALONE_SECONDS, function()
    self.timers[id] = nil
    self:guard('update-status', self.on_update, self, window)
  end)
end

--- What is wrong with the options, as one toast, once for as long as WezTerm runs.
function Plugin:report_problems(window)
  if #self.problems == 0 then
    return
  end
  local words = table.concat(self.problems, '; ')
  self.problems = {}
  if self.host:recall 'problems' ~= words then
    self.host:remember('problems', words)
    self.host:toast(window, text.line(words, 400), config.DEFAULTS.toasts.timeout_ms)
  end
end

-- ---- the tabs ---------------------------------------------------------------------------------------------

--- WezTerm asks only the first handler of a tab's title. Ours is added when the configuration has long been
--- loaded, so that one of the user's own, wherever it stands, is the first.
function Plugin:title_tabs()
  if self.titles or not self.options.tabs then
    return
  end
  self.titles = true
  self.host:on('format-tab-title', function(tab, _, _, effective)
    return self:guard('a tab', self.title, self, tab, effective)
  end)
end

--- What is known of the tabs, also from before the configuration was loaded again.
function Plugin:current_tabs()
  self.tabs = self.tabs or tabs.restore(self.host:recall 'tabs')
  return self.tabs
end

function Plugin:remember_tabs()
  if self.tabs.changed then
    self.host:remember('tabs', self.tabs:saved())
  end
end

--- The tab that somebody looks at in a window, if it is one.
function Plugin:viewed_tab(window)
  local viewed, id = self.host:viewed_tab(window), self.host:window_id(window)
  if id then
    self.focused[id] = viewed ~= nil
  end
  return viewed
end

--- Takes in panes that this configuration has not heard of, and the marks from tabs that are looked at.
---@return boolean other whether the tabs are to be drawn anew
function Plugin:look_at_tabs(window)
  local known, id = self:current_tabs(), self.host:window_id(window)
  local count = self.host:tab_count(window)
  local is_new = id ~= nil and self.tab_counts[id] ~= count
  if not is_new and known.marked == 0 then
    return false
  end
  local viewed = self:viewed_tab(window)
  if is_new then
    self.tab_counts[id] = count
    for _, pane in ipairs(self.host:panes_of(window)) do
      known:find(pane.pane_id, pane.tab_id, pane.variables, pane.tab_id == viewed)
    end
  end
  local found = is_new and known.marked > 0
  local gone = viewed ~= nil and known:seen(viewed)
  self:remember_tabs()
  return found or gone
end

function Plugin:marker(tab)
  local options = self.options.tabs
  -- A tab that has just been chosen loses its mark a moment later.
  local is_seen = tab.is_active and self.focused[tab.window_id]
  local mark = options and not is_seen and self:current_tabs():mark(tab.tab_id)
  return mark and options[mark] or ''
end

--- The title of a marked tab; nil, and with it WezTerm's own title, for all others.
function Plugin:title(tab, effective)
  local marker = self:marker(tab)
  if marker ~= '' then
    return tabs.title(tab, marker, effective)
  end
end

function Plugin:on_variable(window, pane, name, value)
  if name ~= tabs.VARIABLE then
    return
  end
  -- This may let other events pass; what is read after it is of one moment.
  local viewed = self:viewed_tab(window)
  local known, variables = self:current_tabs(), self.host:user_variables(pane)
  local pane_id, tab_id = self.host:pane_id(pane), self.host:tab_of(pane)
  if variables and pane_id and tab_id then
    known:hear(pane_id, tab_id, value, variables, viewed == tab_id)
    self:remember_tabs()
  end
end

return M
