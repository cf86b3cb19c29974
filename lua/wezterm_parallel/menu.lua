--- The task menu: the tasks as lines to choose from.
---
--- Pure. Commands and questions come from people and models: they are shown as one harmless line each.

local client = require 'wezterm_parallel.client'
local deeds = require 'wezterm_parallel.deeds'
local text = require 'wezterm_parallel.text'

local M = {}

local WORDS_MAX = 100
--- The longest of the states, and of the ids that get a column of their own.
local STATE_WIDTH, ID_WIDTH_MAX = 7, 20

--- What the user is asked for comes first, what merely waits comes last.
local ORDER = {
  waiting = 1,
  running = 2,
  paused = 3,
  failed = 4,
  lost = 5,
  queued = 6,
  delayed = 7,
  blocked = 8,
  held = 9,
}

local function list(value)
  return type(value) == 'table' and value or {}
end

local function words_of(task)
  if type(task.command) == 'string' then
    return task.command
  end
  local argv = {}
  for index, argument in ipairs(list(task.argv)) do
    argv[index] = tostring(argument)
  end
  return table.concat(argv, ' ')
end

--- One task as one line: its id and state in columns, if others stand below it.
---@param task table a task as `status --json` has it
---@param id_width? integer
---@return string
function M.label(task, id_width)
  local label = type(task.label) == 'string' and '[' .. task.label .. '] ' or ''
  local question = list(list(task.questions)[1])
  local words = label .. (question.tool and deeds.subject(question) or words_of(task))
  local line = id_width and ('%-' .. id_width .. 's  %-' .. STATE_WIDTH .. 's  %s') or '%s  %s  %s'
  return line:format(task.id, tostring(task.state), text.line(words, WORDS_MAX))
end

local FAILED = { failed = true, lost = true }

--- The tasks in answers, each once: one may have changed its state from one answer to the next.
local function tasks_in(found)
  local sorted, seen = {}, {}
  for _, answer in ipairs(found) do
    for _, task in ipairs(list(list(answer).tasks)) do
      if type(task) == 'table' and client.is_id(task.id) and not seen[task.id] then
        seen[task.id] = true
        sorted[#sorted + 1] = { task = task, rank = ORDER[task.state] or 10, place = #sorted }
      end
    end
  end
  return sorted
end

--- How many tasks an answer has.
---@param answer any what `status --json` printed
---@return integer
function M.count(answer)
  return #list(list(answer).tasks)
end

--- The lines of the menu, with the tasks' ids.
---@param found any[] what `status --json` printed, once or several times
---@return { id: string, label: string }[] choices
---@return integer failed how many of them have failed
function M.choices(found)
  local sorted = tasks_in(found)
  table.sort(sorted, function(left, right)
    if left.rank ~= right.rank then
      return left.rank < right.rank
    end
    return left.place < right.place
  end)
  local choices, id_width, failed = {}, 1, 0
  for _, entry in ipairs(sorted) do
    id_width = math.min(math.max(id_width, #entry.task.id), ID_WIDTH_MAX)
    failed = failed + (FAILED[entry.task.state] and 1 or 0)
  end
  for index, entry in ipairs(sorted) do
    choices[index] = { id = entry.task.id, label = M.label(entry.task, id_width) }
  end
  return choices, failed
end

return M
