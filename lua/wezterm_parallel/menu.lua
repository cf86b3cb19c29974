--- The task menu: the tasks as lines to choose from, and what can be done with the chosen one.
---
--- Pure. Commands and questions come from people and models: they are shown as one harmless line each.

local client = require 'wezterm_parallel.client'
local text = require 'wezterm_parallel.text'

local M = {}

local WORDS_MAX = 100

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

--- What a raise or a lower adds.
local PRIORITY_STEP = 50

--- The argument of a tool that says what it is about, in the order of preference.
local SUBJECTS = { 'command', 'file_path', 'path', 'url', 'pattern', 'description' }

---@class wezterm_parallel.Deed
---@field label string
---@field run? string[] arguments for the program; its answer is a toast
---@field pane? string[] arguments of a program to run in a pane
---@field ask? string what to ask for first; `run_with` makes the arguments
---@field run_with? fun(line: string): string[]

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

--- What a question is about, in one line.
local function subject(question)
  local input = list(question.input)
  local choices = list(input.questions)
  if type(choices[1]) == 'table' and type(choices[1].question) == 'string' then
    return text.line(choices[1].question, WORDS_MAX)
  end
  for _, name in ipairs(SUBJECTS) do
    if type(input[name]) == 'string' then
      return text.line(tostring(question.tool) .. ': ' .. input[name], WORDS_MAX)
    end
  end
  return text.line(question.tool, WORDS_MAX)
end

--- One task as one line.
---@param task table a task as `status --json` has it
---@return string
function M.label(task)
  local label = type(task.label) == 'string' and '[' .. task.label .. '] ' or ''
  local question = list(list(task.questions)[1])
  local words = question.tool and subject(question) or words_of(task)
  return ('%s  %s  %s'):format(task.id, tostring(task.state), text.line(label .. words, WORDS_MAX))
end

--- The lines of the menu, and the tasks by their ids.
---@param answer any what `status --json` printed
---@return table[] choices
---@return table<string, table> tasks
function M.choices(answer)
  local sorted, tasks = {}, {}
  for place, task in ipairs(list(list(answer).tasks)) do
    if type(task) == 'table' and client.is_id(task.id) then
      sorted[#sorted + 1] = { task = task, rank = ORDER[task.state] or 10, place = place }
      tasks[task.id] = task
    end
  end
  table.sort(sorted, function(left, right)
    if left.rank ~= right.rank then
      return left.rank < right.rank
    end
    return left.place < right.place
  end)
  local choices = {}
  for index, entry in ipairs(sorted) do
    choices[index] = { id = entry.task.id, label = M.label(entry.task) }
  end
  return choices, tasks
end

--- The questions with answers to choose from that are in a question; none if it is about a permission.
local function choices_in(question)
  local found = {}
  for _, choice in ipairs(list(list(question.input).questions)) do
    if type(choice) == 'table' and type(choice.question) == 'string' then
      found[#found + 1] = choice
    end
  end
  return found
end

--- The answers that are offered, if it is one question with one answer.
local function offered(questions)
  local answers = {}
  if #questions ~= 1 or questions[1].multiSelect then
    return answers
  end
  for _, option in ipairs(list(questions[1].options)) do
    if type(option) == 'table' and type(option.label) == 'string' then
      answers[#answers + 1] = option.label
    end
  end
  return answers
end

--- What can be answered to one question.
local function answers(deeds, id, question)
  local request = question.request_id
  if type(request) ~= 'string' or request == '' then
    return
  end
  local about = subject(question)
  local choices = choices_in(question)
  for _, answer in ipairs(offered(choices)) do
    -- With its question in front: an answer may hold a `=` itself.
    local named = choices[1].question .. '=' .. answer
    deeds[#deeds + 1] =
      { label = 'answer: ' .. text.line(answer, WORDS_MAX), run = client.allow(id, request, named) }
  end
  if #choices == 0 then
    deeds[#deeds + 1] = { label = 'allow  ' .. about, run = client.allow(id, request) }
  elseif #choices == 1 then
    deeds[#deeds + 1] = {
      label = 'another answer …',
      ask = about,
      run_with = function(line)
        return client.allow(id, request, choices[1].question .. '=' .. line)
      end,
    }
  end
  deeds[#deeds + 1] = { label = 'deny  ' .. about, run = client.deny(id, request) }
  deeds[#deeds + 1] = {
    label = 'deny and say why …',
    ask = 'What the model is told:',
    run_with = function(line)
      return client.deny(id, request, line)
    end,
  }
end

local ENDED = { failed = true, lost = true, cancelled = true, skipped = true, succeeded = true }
local STARTED = { running = true, waiting = true, paused = true }

--- What can be done with a task, the likeliest first.
---@param task table
---@return wezterm_parallel.Deed[]
function M.deeds(task)
  local deeds, id, state = {}, task.id, task.state
  for _, question in ipairs(list(task.questions)) do
    if type(question) == 'table' then
      answers(deeds, id, question)
    end
  end
  deeds[#deeds + 1] = { label = 'attach  show it in a pane', pane = { 'attach', '--task', id } }
  if ENDED[state] then
    deeds[#deeds + 1] = { label = 'retry', run = { 'retry', id } }
    return deeds
  end
  local priority = math.type(task.priority) == 'integer' and task.priority or nil
  if priority and not STARTED[state] then
    deeds[#deeds + 1] = {
      label = ('raise  from %d'):format(priority),
      run = client.edit_priority(id, priority + PRIORITY_STEP),
    }
    deeds[#deeds + 1] = {
      label = ('lower  from %d'):format(priority),
      run = client.edit_priority(id, priority - PRIORITY_STEP),
    }
  end
  deeds[#deeds + 1] = { label = 'cancel', run = { 'cancel', id } }
  return deeds
end

return M
