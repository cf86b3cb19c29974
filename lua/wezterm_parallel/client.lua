--- The program's command line: an argv for each thing that the plugin asks of it, and what the answer says.
---
--- Pure. There is never a shell line: what somebody typed is one argument, whatever characters it has.

local text = require 'wezterm_parallel.text'

local M = {}

--- A GUI that was not started from a shell has a bare PATH: these folders below the home and absolute ones.
local FOLDERS = { '~/.cargo/bin', '~/.local/bin', '/opt/homebrew/bin', '/usr/local/bin' }

local PROGRAM = 'wezterm-parallel'

--- Where the pool's panes go, by the option's word.
local PLACES = { tab = '--new-tab', window = '--new-window', here = '--here' }

--- The tasks that the menu has something to do about: those to look at first, and those that merely wait.
M.ACTIVE = 'waiting,running,paused'
M.FAILED = 'failed,lost'
M.WAITING = 'queued,delayed,blocked,held'

--- The program: the user's choice, else the first that is there, else whatever PATH knows.
---@param bin? string
---@param home? string
---@param exists fun(path: string): boolean
---@return string
function M.find(bin, home, exists)
  if bin then
    return (bin:gsub('^~/', function()
      return (home or '~') .. '/'
    end))
  end
  for _, folder in ipairs(FOLDERS) do
    local path = (folder:gsub('^~', function()
      return home or '~'
    end)) .. '/' .. PROGRAM
    if exists(path) then
      return path
    end
  end
  return PROGRAM
end

---@class wezterm_parallel.Work
---@field text string
---@field priority? string
---@field workspace? string
---@field cwd string
---@field shell? boolean it is a shell line rather than a prompt
---@field env? table<string, string>

--- `queue` in a folder, with variables for the task.
local function queue_in(folder, env)
  local arguments = { 'queue', '--cwd=' .. folder }
  for _, name in ipairs(text.sorted_keys(env or {})) do
    arguments[#arguments + 1] = '--env=' .. name .. '=' .. env[name]
  end
  return arguments
end

--- `queue`, in the form that takes any text: one that begins with a dash is a prompt too.
---@param work wezterm_parallel.Work
---@return string[]
function M.queue(work)
  local arguments = queue_in(work.cwd, work.env)
  if work.priority then
    arguments[#arguments + 1] = '--priority=' .. work.priority
  end
  if work.workspace then
    arguments[#arguments + 1] = '--workspace=' .. work.workspace
  end
  if work.shell then
    arguments[#arguments + 1] = '--shell'
  end
  arguments[#arguments + 1] = '--prompt=' .. work.text
  return arguments
end

--- `queue` with an editor for the text, in a pane of its own.
---@param folder string
---@param env? table<string, string>
---@return string[]
function M.queue_edited(folder, env)
  local arguments = queue_in(folder, env)
  arguments[#arguments + 1] = '--edit'
  return arguments
end

--- A pane for each slot.
---@param options { layout: string, place: string }
---@return string[]
function M.open_panes(options)
  return { 'panes', 'open', '--layout=' .. options.layout, PLACES[options.place] }
end

---@param states string
---@param limit integer
---@return string[]
function M.status(states, limit)
  return { 'status', '--json', '--state=' .. states, '--limit=' .. limit }
end

---@param id string
---@return string[]
function M.show(id)
  return { 'show', id, '--json' }
end

--- A new priority, kept within 0 to 255.
---@param id string
---@param priority integer
---@return string[]
function M.edit_priority(id, priority)
  return { 'edit', id, '--priority=' .. math.max(0, math.min(255, priority)) }
end

---@param id string
---@param request string
---@param message? string what the model is told
---@return string[]
function M.deny(id, request, message)
  local arguments = { 'answer', id, 'deny', '--request=' .. request }
  if message and message:find '%S' then
    arguments[#arguments + 1] = '--message=' .. message
  end
  return arguments
end

---@param id string
---@param request string
---@param choice? string
---@return string[]
function M.allow(id, request, choice)
  local arguments = { 'answer', id, 'allow', '--request=' .. request }
  if choice then
    arguments[#arguments + 1] = '--choose=' .. choice
  end
  return arguments
end

--- Whether it has the form of a task's id. What comes from a user var or a menu is checked before it is an
--- argument.
---@param id any
---@return boolean
function M.is_id(id)
  return type(id) == 'string' and #id <= 64 and id:find '^[%w_][%w._-]*$' ~= nil
end

--- What went wrong, in one line: the program's own `error:` and `hint:`, or whatever it said.
---@param stderr string
---@return string
function M.failure(stderr)
  local problem, hint
  for line in stderr:gmatch '[^\r\n]+' do
    problem = problem or line:match '^error: (.*)'
    hint = hint or line:match '^hint: (.*)'
  end
  if not problem then
    local said = text.line(stderr, 300)
    return said ~= '' and said or 'it said nothing'
  end
  return text.line(hint and (problem .. ' (' .. hint .. ')') or problem, 300)
end

return M
