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

--- Windows come and go; what was last shown in them is worth no more room than this.
local WINDOWS_MAX = 64

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
    tabs = tabs.new(),
    shown = {},
    windows = 0,
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
  local function looked()
    self.host:remember('looked_at', self:current_status():look())
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
    self.status.looked_at = tonumber(self.host:recall 'looked_at') or 0
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
  if self.options.tabs then
    local viewed = self.tabs.count > 0 and self.host:viewed_tab(window)
    if viewed then
      self.tabs:seen(viewed)
    end
  end
  local status = self:current_status()
  self:read(window, status)
  if self.options.status then
    self:show(window, status.formatted)
  end
end

--- Sets the bar of one window if it says something else by now.
function Plugin:show(window, words)
  local id = self.host:window_id(window)
  if id == nil or self.shown[id] == words then
    return
  end
  if self.shown[id] == nil then
    self.windows = self.windows + 1
    if self.windows > WINDOWS_MAX then
      self.shown, self.windows = {}, 1
    end
  end
  self.shown[id] = words
  self.host:set_status(window, self.options.status.side, words)
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

function Plugin:marker(tab)
  local options = self.options.tabs
  local mark = options and not tab.is_active and self.tabs:mark(tab.tab_id)
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
  local pane_id, tab_id = self.host:pane_id(pane), self.host:tab_of(pane)
  if not pane_id or not tab_id then
    return
  end
  local mark = tabs.mark_of(value)
  if mark and self.host:viewed_tab(window) == tab_id then
    mark = nil
  end
  self.tabs:set(pane_id, tab_id, mark)
end

return M
