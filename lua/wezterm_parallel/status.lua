--- The status text: reads what the daemon writes, and renders it only when something has changed.
---
--- It runs once a second in each window, so the path on which nothing has changed is one small read and one
--- comparison of strings. Pure but for `io.open`; the clock, JSON and icons come from the host table.

local config = require 'wezterm_parallel.config'
local text = require 'wezterm_parallel.text'

local M = {}

--- Far more than the daemon ever writes; a larger file is somebody else's.
local FILE_BYTES_MAX = 64 * 1024

--- A message about what blocks the queue is a hint in a bar, not an essay.
local MESSAGE_CHARACTERS_MAX = 60

---@class wezterm_parallel.Snapshot
---@field updated_at_ms number
---@field queued integer
---@field running integer
---@field slots integer
---@field paused boolean
---@field attention integer
---@field waiting integer tasks that go on later
---@field failed integer
---@field processes integer processes beside the queue that are up
---@field failed_processes integer those that have failed
---@field blocked string what holds up the queue, besides taken slots
---@field error string why the journal cannot be written

-- ---- the file ---------------------------------------------------------------------------------------------

--- The places of the file, likeliest first, by the daemon's own rules.
---@param environment fun(name: string): string?
---@param home? string
---@return string[]
function M.paths(environment, home)
  local function absolute(name)
    local value = environment(name)
    return value and value:sub(1, 1) == '/' and value or nil
  end
  local paths = {}
  local runtime = absolute 'XDG_RUNTIME_DIR'
  if runtime then
    paths[#paths + 1] = runtime .. '/wezterm-parallel/status.json'
  end
  local data = absolute 'XDG_DATA_HOME' or (home and home .. '/.local/share')
  if data then
    paths[#paths + 1] = data .. '/wezterm-parallel/run/status.json'
  end
  return paths
end

--- What the first of these files that can be read says.
local function read(paths)
  for _, path in ipairs(paths) do
    local file = io.open(path, 'rb')
    if file then
      local content = file:read(FILE_BYTES_MAX)
      file:close()
      if content then
        return content
      end
    end
  end
end

local function count(value)
  return math.type(value) == 'integer' and value >= 0 and value or 0
end

--- What holds up the queue. That all slots are taken is no news: the numbers beside it say so.
local function blocked(gates)
  if type(gates) ~= 'table' then
    return ''
  end
  for _, gate in ipairs(gates) do
    local known = type(gate) == 'table' and type(gate.message) == 'string'
    if known and gate.gate ~= 'slots' and gate.gate ~= 'pause' then
      return text.line(gate.message, MESSAGE_CHARACTERS_MAX)
    end
  end
  return ''
end

--- The content of the file as a snapshot; nil if it is none.
---@param content string
---@param json fun(text: string): any
---@return wezterm_parallel.Snapshot?
function M.parse(content, json)
  local parsed = json(content)
  if type(parsed) ~= 'table' or type(parsed.updated_at_ms) ~= 'number' then
    return nil
  end
  -- A daemon of an earlier version tells nothing of them.
  local processes = type(parsed.processes) == 'table' and parsed.processes or {}
  return {
    updated_at_ms = parsed.updated_at_ms,
    queued = count(parsed.queued),
    running = count(parsed.running),
    slots = count(parsed.slots),
    paused = parsed.paused == true,
    attention = count(parsed.attention),
    waiting = count(parsed.waiting),
    failed = count(parsed.failed),
    processes = count(processes.up),
    failed_processes = count(processes.failed),
    blocked = blocked(parsed.blocked_by),
    error = parsed.journal_error and text.line(parsed.journal_error, MESSAGE_CHARACTERS_MAX) or '',
  }
end

-- ---- the format -------------------------------------------------------------------------------------------

--- Takes `text {field}[ optional {field}]` apart, once: a list of parts, each a list of texts and fields.
---@param format string
---@return table[]
function M.compile(format)
  local parts = {}
  local function add(piece, optional)
    local part = { optional = optional }
    local from = 1
    for before, field, after in piece:gmatch '(){([^{}]*)}()' do
      if before > from then
        part[#part + 1] = { text = piece:sub(from, before - 1) }
      end
      part[#part + 1] = { field = field }
      from = after
    end
    if from <= #piece then
      part[#part + 1] = { text = piece:sub(from) }
    end
    parts[#parts + 1] = part
  end
  local from = 1
  for before, inner, after in format:gmatch '()%[([^%[%]]*)%]()' do
    if before > from then
      add(format:sub(from, before - 1), false)
    end
    add(inner, true)
    from = after
  end
  if from <= #format then
    add(format:sub(from), false)
  end
  return parts
end

--- The text of one part and the colour that it asks for; nothing if it is optional and has nothing to say.
local function render_part(part, values, icons, colors)
  local pieces, filled, color = {}, not part.optional, nil
  for index, piece in ipairs(part) do
    if piece.text then
      pieces[index] = piece.text
    elseif icons[piece.field] then
      pieces[index] = icons[piece.field]
    else
      local value = values[piece.field]
      if value ~= 0 and value ~= '' then
        filled = true
        color = color or colors[piece.field]
      end
      pieces[index] = tostring(value)
    end
  end
  if filled then
    return table.concat(pieces), color
  end
end

--- A colour as `wezterm.format` takes it: `#rrggbb` and CSS names, or the palette's names with a capital.
local function foreground(color)
  if color:find '^%u%l+$' then
    return { Foreground = { AnsiColor = color } }
  end
  return { Foreground = { Color = color } }
end

--- The parts with their values: items for `wezterm.format`, and the same as plain text.
---@return table[] items
---@return string plain
function M.render(parts, values, icons, colors)
  local items, plain = {}, {}
  for _, part in ipairs(parts) do
    local words, color = render_part(part, values, icons, colors)
    if words then
      plain[#plain + 1] = words
      if color then
        items[#items + 1] = foreground(color)
      end
      items[#items + 1] = { Text = words }
      if color then
        items[#items + 1] = 'ResetAttributes'
      end
    end
  end
  return items, table.concat(plain)
end

-- ---- the two together -------------------------------------------------------------------------------------

---@class wezterm_parallel.Status
---@field snapshot? wezterm_parallel.Snapshot the newest one that could be read
---@field fresh boolean whether a daemon keeps it up to date
---@field plain string without colours
---@field formatted string with colours
local Status = {}
Status.__index = Status

local function icons_of(choice, host)
  local icons = {}
  for name, ascii in pairs(config.ICONS.ascii) do
    if type(choice) == 'table' then
      icons[name] = choice[name] or ascii
    elseif choice == 'nerd' then
      icons[name] = host.icon(config.ICONS.nerd[name]) or ascii
    else
      icons[name] = ascii
    end
  end
  return icons
end

--- A status with nothing read yet.
---@param host table what of WezTerm it needs: now_ms, json, format, icon, environment, home, recall, remember
---@param options table the section `status`
---@param file? string
---@return wezterm_parallel.Status
function M.new(host, options, file)
  return setmetatable({
    host = host,
    options = options,
    paths = file and { file } or M.paths(host.environment, host.home),
    icons = icons_of(options.icons, host),
    parts = M.compile(options.format),
    off_parts = M.compile(options.off_format),
    looked_at = tonumber(host:recall 'looked_at') or 0,
    fresh = false,
    read_at_ms = -math.huge,
    plain = '',
    formatted = '',
  }, Status)
end

--- Failures that nobody has looked at. Tasks that are cleaned up or retried take theirs along.
function Status:new_failures()
  local failed = self.snapshot and self.snapshot.failed or 0
  if failed < self.looked_at then
    self:look_at(failed)
  end
  return failed - self.looked_at
end

--- Notes how many failures have been looked at, for after the configuration is loaded again, too.
function Status:look_at(failed)
  self.looked_at = failed
  self.host:remember('looked_at', failed)
end

--- Somebody sees so many failures, the newest of them.
---@param shown integer
function Status:look(shown)
  self:look_at(self.looked_at + math.min(shown, self:new_failures()))
  self.rendered_for = nil
end

--- Renders again if what is shown would differ.
function Status:show()
  local snapshot = self.fresh and self.snapshot or nil
  if self.rendered_for == (snapshot or 'off') then
    return
  end
  self.rendered_for = snapshot or 'off'
  local options, previous = self.options, self.plain
  local items
  if snapshot then
    local values = {
      queued = snapshot.queued,
      running = snapshot.running,
      slots = snapshot.slots,
      paused = snapshot.paused and 'paused' or '',
      blocked = snapshot.queued > 0 and snapshot.blocked or '',
      attention = snapshot.attention,
      failed = snapshot.failed,
      processes = snapshot.processes,
      failed_processes = snapshot.failed_processes,
      new_failed = self:new_failures(),
      error = snapshot.error,
    }
    items, self.plain = M.render(self.parts, values, self.icons, options.colors)
  else
    items, self.plain = M.render(self.off_parts, { off = 1 }, self.icons, options.colors)
    if options.colors.off then
      table.insert(items, 1, foreground(options.colors.off))
      items[#items + 1] = 'ResetAttributes'
    end
  end
  -- A heartbeat changes the file but not what is shown.
  if self.plain ~= previous then
    self.formatted = self.host.format(items)
  end
end

--- Reads the file if it is time to, and brings the texts up to date.
---@return boolean news whether there is another snapshot, or the daemon has come or gone
function Status:update()
  local now_ms = self.host.now_ms()
  local passed_ms = now_ms - self.read_at_ms
  -- A clock that was set back must not stop the reading.
  if passed_ms >= 0 and passed_ms < self.options.interval_ms then
    return false
  end
  self.read_at_ms = now_ms
  local news = false
  local content = read(self.paths)
  if content ~= self.content then
    self.content = content
    self.snapshot = content and M.parse(content, self.host.json) or nil
    news = true
  end
  local snapshot = self.snapshot
  local fresh = snapshot ~= nil and now_ms - snapshot.updated_at_ms <= self.options.stale_ms
  news = news or fresh ~= self.fresh
  self.fresh = fresh
  self:show()
  return news
end

return M
