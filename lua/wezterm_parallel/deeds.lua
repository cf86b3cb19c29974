--- What can be done with a task, each as one text from which all of it can be read back.
---
--- A menu may stay open in one tab while others are opened elsewhere, and the configuration may be loaded
--- again meanwhile. So nothing about an open menu is kept: the task, the deed and the question are in the id
--- of the choice itself, and are checked when it comes back. Pure.

local client = require 'wezterm_parallel.client'
local text = require 'wezterm_parallel.text'

local M = {}

local WORDS_MAX = 100

--- What a raise or a lower adds.
local PRIORITY_STEP = 50

--- The argument of a tool that says what it is about, in the order of preference.
local SUBJECTS = { 'command', 'file_path', 'path', 'url', 'pattern', 'description' }

--- Every deed, and what it needs besides the task. `words` is an answer or a question, `typed` what somebody
--- is still to be asked for.
local NEEDS = {
  attach = {},
  retry = {},
  cancel = {},
  stop = {},
  priority = { words = true },
  allow = { request = true },
  deny = { request = true },
  choose = { request = true, words = true },
  deny_saying = { request = true, typed = true },
  choose_saying = { request = true, words = true, typed = true },
}

---@class wezterm_parallel.Deed
---@field name string a key of NEEDS
---@field task string
---@field request? string
---@field words? string

local function list(value)
  return type(value) == 'table' and value or {}
end

-- ---- to an id and back ------------------------------------------------------------------------------------

local function quoted(field)
  return (field:gsub('[^%w._-]', function(character)
    return ('%%%02x'):format(character:byte())
  end))
end

local function unquoted(field)
  return (field:gsub('%%(%x%x)', function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

---@param deed wezterm_parallel.Deed
---@return string
function M.id(deed)
  local fields = { deed.name, quoted(deed.task), quoted(deed.request or ''), quoted(deed.words or '') }
  return table.concat(fields, ':')
end

--- The deed of an id; nil if it is none, whoever made it up.
---@param id any
---@return wezterm_parallel.Deed?
function M.of_id(id)
  if type(id) ~= 'string' then
    return nil
  end
  local name, task, request, words = id:match '^([%l_]+):([^:]*):([^:]*):([^:]*)$'
  local needs = NEEDS[name]
  if not needs then
    return nil
  end
  task, request, words = unquoted(task), unquoted(request), unquoted(words)
  local fits = client.is_id(task)
    and (request ~= '') == (needs.request or false)
    and (words ~= '') == (needs.words or false)
    and (name ~= 'priority' or words:find '^%d%d?%d?$')
  return fits and { name = name, task = task, request = request, words = words } or nil
end

-- ---- what a deed does -------------------------------------------------------------------------------------

--- What to ask for before it can be done; nil if nothing is missing.
---@param deed wezterm_parallel.Deed
---@return string?
function M.missing(deed)
  if deed.name == 'choose_saying' then
    return ('Task %s asks: %s'):format(deed.task, text.line(deed.words, WORDS_MAX))
  elseif deed.name == 'deny_saying' then
    return ('What task %s is told:'):format(deed.task)
  end
end

--- The arguments for the program, and what to say once it has done it.
---@param deed wezterm_parallel.Deed
---@param typed? string what was asked for
---@return string[] arguments
---@return string done
function M.run(deed, typed)
  local name, task, request, words = deed.name, deed.task, deed.request, deed.words
  local function answered(with)
    return ('Answered task %s: %s'):format(task, text.line(with, WORDS_MAX))
  end
  if name == 'retry' then
    return { 'retry', task }, ('Queued task %s again'):format(task)
  elseif name == 'cancel' or name == 'stop' then
    return { 'cancel', task }, ('Cancelled task %s'):format(task)
  elseif name == 'priority' then
    return client.edit_priority(task, tonumber(words)), ('Task %s has priority %s'):format(task, words)
  elseif name == 'allow' then
    return client.allow(task, request), answered 'allowed'
  elseif name == 'choose' then
    -- With its question in front: an answer may hold a `=` itself.
    return client.allow(task, request, words), answered(words)
  elseif name == 'choose_saying' then
    return client.allow(task, request, words .. '=' .. typed), answered(typed)
  end
  return client.deny(task, request, typed), answered 'denied'
end

-- ---- what is offered --------------------------------------------------------------------------------------

--- What a question is about, in one line.
function M.subject(question)
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

--- The questions with answers to choose from that are in a question; none if it is about a permission.
local function choices_in(question)
  local found = {}
  for _, choice in ipairs(list(list(question.input).questions)) do
    if type(choice) == 'table' and type(choice.question) == 'string' and choice.question ~= '' then
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
local function answers(add, question)
  local request = question.request_id
  if type(request) ~= 'string' or request == '' then
    return
  end
  local about = M.subject(question)
  local choices = choices_in(question)
  for _, answer in ipairs(offered(choices)) do
    local named = choices[1].question .. '=' .. answer
    add('answer: ' .. text.line(answer, WORDS_MAX), 'choose', request, named)
  end
  if #choices == 0 then
    add('allow  ' .. about, 'allow', request)
  elseif #choices == 1 then
    add('another answer …', 'choose_saying', request, choices[1].question)
  end
  add('deny  ' .. about, 'deny', request)
  add('deny and say why …', 'deny_saying', request)
end

local ENDED = { failed = true, lost = true, cancelled = true, skipped = true, succeeded = true }
local STARTED = { running = true, waiting = true, paused = true }

--- Whether a task has a worker that a cancel would end.
---@param task table
---@return boolean
function M.has_started(task)
  return STARTED[task.state] == true
end

--- A function that adds choices about one task to a list.
local function adder(choices, task)
  return function(label, name, request, words)
    local id = M.id { name = name, task = task.id, request = request, words = words }
    choices[#choices + 1] = { id = id, label = label }
  end
end

--- What can be done with a task, the likeliest first, as a menu has it.
---@param task table
---@return { id: string, label: string }[]
function M.choices(task)
  local choices = {}
  local add = adder(choices, task)
  for _, question in ipairs(list(task.questions)) do
    if type(question) == 'table' then
      answers(add, question)
    end
  end
  add('attach  show it in a pane', 'attach')
  if ENDED[task.state] then
    add('retry', 'retry')
    return choices
  end
  local priority = math.type(task.priority) == 'integer' and task.priority or nil
  if priority and not M.has_started(task) then
    local function to(step)
      return tostring(math.max(0, math.min(255, priority + step)))
    end
    add(('raise  from %d'):format(priority), 'priority', nil, to(PRIORITY_STEP))
    add(('lower  from %d'):format(priority), 'priority', nil, to(-PRIORITY_STEP))
  end
  add('cancel', 'cancel')
  return choices
end

--- What is asked before a worker is ended.
---@param task table
---@return { id: string, label: string }[]
function M.sure(task)
  local choices = {}
  adder(choices, task)('yes, stop it', 'stop')
  choices[2] = { id = 'no', label = 'no' }
  return choices
end

return M
