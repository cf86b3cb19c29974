--- What one `update-status` costs, with a real file: nothing changed, a heartbeat, and another text to show.
---
--- `measure` takes a plugin's stub, so that the whole way of the event is in it.

local plugin = require 'wezterm_parallel.plugin'
local stub = require 'support.wezterm_stub'

local M = {}

local FILE = '{"version":1,"pid":4242,"updated_at_ms":%d,"queued":%d,"running":4,"slots":4,"paused":false,'
  .. '"attention":1,"failed":2,"blocked_by":[{"gate":"slots","message":"4 of 4 slots are taken"},'
  .. '{"gate":"memory","message":"1.9 GiB are available, 2.0 GiB are to stay free"}]}\n'

local function write(path, updated_at_ms, queued)
  local file = assert(io.open(path, 'wb'))
  file:write(FILE:format(updated_at_ms, queued))
  file:close()
end

--- Microseconds of processor time for one call, without what `prepare` takes.
local function cost(rounds, prepare, call)
  local spent = 0
  for round = 1, rounds do
    prepare(round)
    local began = os.clock()
    call()
    spent = spent + os.clock() - began
  end
  return spent / rounds * 1e6
end

---@param path string a file that may be written
---@param rounds integer
---@param json? fun(text: string): any
---@return table<string, number> microseconds
---@return integer shown how often the bar was set
function M.measure(path, rounds, json)
  local wezterm, record = stub.new { json = json }
  local window, seen = stub.window()
  local pane = stub.pane()
  local options = { status_file = path, status = { interval_ms = 0 }, toasts = false }
  plugin.new(wezterm).apply_to_config({}, options)
  local handler = record.handlers['update-status'][1]
  local function update()
    handler(window, pane)
  end
  write(path, record.now_ms, 0)
  update()
  local figures = {
    unchanged = cost(rounds, function() end, update),
    heartbeat = cost(rounds, function(round)
      write(path, record.now_ms - round % 5000, 0)
    end, update),
    changed = cost(rounds, function(round)
      write(path, record.now_ms, round)
    end, update),
  }
  os.remove(path)
  return figures, #seen.status
end

return M
