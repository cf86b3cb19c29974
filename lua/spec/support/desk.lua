--- The whole plugin before a stub of WezTerm, with a window and the daemon's file.

local plugin = require 'wezterm_parallel.plugin'
local stub = require 'support.wezterm_stub'

local M = {}

local Desk = {}
Desk.__index = Desk

---@param path string where the daemon's file is
function M.new(path)
  local self = setmetatable({ path = path }, Desk)
  self.wezterm, self.record = stub.new()
  self.window, self.seen = stub.window()
  return self
end

--- Applies options, as each load of the configuration does.
function Desk:apply(options)
  options = options or {}
  options.status_file = self.path
  options.bin = '/bin/wp'
  options.status = { icons = 'ascii' }
  self.parallel = plugin.new(self.wezterm)
  self.parallel.apply_to_config(stub.config(), options)
end

--- The configuration is loaded again: another Lua, of which only GLOBAL is as before.
function Desk:load_again(options)
  local answer, now_ms = self.record.answer, self.record.now_ms
  self.wezterm, self.record = stub.new { global = self.wezterm.GLOBAL }
  self.record.answer, self.record.now_ms = answer, now_ms
  self:apply(options)
end

--- What the daemon's file says now.
function Desk:write(failed)
  local file = assert(io.open(self.path, 'wb'))
  file:write(('{"updated_at_ms":%d,"slots":4,"failed":%d}'):format(self.record.now_ms, failed))
  file:close()
end

--- Time goes on by a second, and the bar of a window is brought up to date.
function Desk:tick(window)
  self.record.now_ms = self.record.now_ms + 1000
  self.record.emit('update-status', window or self.window, stub.pane())
end

--- What was opened last: a menu, a prompt, a tab.
function Desk:opened()
  return self.seen.performed[#self.seen.performed]
end

--- The last command line that was run.
function Desk:ran()
  return table.concat(self.record.ran[#self.record.ran] or {}, ' ')
end

--- Presses a key, chooses from a menu or types at a prompt.
function Desk:press(action, ...)
  self.record.press(action, self.window, stub.pane(), ...)
  return self:opened()
end

--- Chooses the entry of a menu that has this in its label.
function Desk:choose(action, label)
  for _, choice in ipairs(action.fields.choices) do
    if choice.label:find(label, 1, true) then
      return self:press(action, choice.id, choice.label)
    end
  end
  error('no choice ' .. label)
end

return M
