--- What the keys do: queue, pause, and the task menu. Each asks the program; a toast says what came of it.
---
--- Nothing here knows how a key is bound, or how the bar is drawn. WezTerm comes in as the host table.

local client = require 'wezterm_parallel.client'
local config = require 'wezterm_parallel.config'
local menu = require 'wezterm_parallel.menu'
local prompt = require 'wezterm_parallel.prompt'
local text = require 'wezterm_parallel.text'

local M = {}

---@class wezterm_parallel.Actions
local Actions = {}
Actions.__index = Actions

---@param host table
---@param options wezterm_parallel.Options
---@param looked fun() called when somebody sees the tasks
---@return wezterm_parallel.Actions
function M.new(host, options, looked)
  return setmetatable({ host = host, options = options, looked = looked }, Actions)
end

--- All key assignments by name, whether keys are bound to them or not.
---@param handler fun(place: string, call: function): function what keeps errors from the terminal
---@return table<string, any>
function Actions:assignments(handler)
  local host = self.host
  local function asked(place, call)
    return host:callback(handler(place, function(...)
      call(self, ...)
    end))
  end
  -- Made once: WezTerm keeps every callback for as long as it runs.
  self.on_task = asked('the task menu', self.choose_deed)
  self.on_deed = asked('the task menu', self.do_deed)
  self.on_words = asked('the task menu', self.do_deed_with)
  return {
    prompt = host:prompt_line(
      'A prompt to queue. !high or !180 in front sets the priority.',
      asked('a prompt', function(_, window, pane, line)
        self:queue_line(window, pane, line, false)
      end)
    ),
    shell = host:prompt_line(
      'A shell command to queue. !high or !180 in front sets the priority.',
      asked('a command', function(_, window, pane, line)
        self:queue_line(window, pane, line, true)
      end)
    ),
    selection = asked('the selection', self.queue_selection),
    menu = asked('the task menu', self.open_menu),
    pause = asked('pause', self.pause_or_resume),
  }
end

-- ---- asking the program -----------------------------------------------------------------------------------

function Actions:toast(window, words)
  local toasts = self.options.toasts or config.DEFAULTS.toasts
  self.host:toast(window, words, toasts.timeout_ms)
end

function Actions:argv(arguments)
  self.bin = self.bin or client.find(self.options.bin, self.host.home, self.host.exists)
  return { self.bin, table.unpack(arguments) }
end

--- Runs the program; what it printed, or nil after a toast with its error and hint.
function Actions:ask(window, arguments)
  local fine, stdout, stderr = self.host:run(self:argv(arguments))
  if fine then
    return stdout, stderr
  end
  self:toast(window, client.failure(stderr))
end

--- The folder of a pane in which a task can run, or nil after a toast.
function Actions:folder(window, pane)
  if not self.host:is_local(window, pane, self.options.local_domains) then
    self:toast(
      window,
      'This pane is on another machine: queue it there (see docs/wezterm.md, remote domains)'
    )
    return nil
  end
  local folder = self.host:folder(pane)
  if not folder then
    self:toast(window, 'The folder of this pane is not known, or on another machine')
  end
  return folder
end

function Actions:queue(window, pane, typed, shell)
  local folder = self:folder(window, pane)
  if not folder then
    return
  end
  local stdout = self:ask(
    window,
    client.queue {
      text = typed.text,
      priority = typed.priority,
      cwd = folder,
      shell = shell,
      env = self.options.env,
    }
  )
  if stdout then
    self:toast(window, ('Queued as task %s'):format(text.line(stdout, 64)))
  end
end

function Actions:queue_line(window, pane, line, shell)
  if not line or line == '' then
    return
  end
  local typed, problem = prompt.parse(line)
  if not typed then
    return self:toast(window, problem)
  end
  self:queue(window, pane, typed, shell)
end

function Actions:queue_selection(window, pane)
  local selected = self.host:selection(window, pane)
  if not selected:find '%S' then
    return self:toast(window, 'Nothing is selected')
  end
  local body, problem = prompt.body(selected)
  if not body then
    return self:toast(window, problem)
  end
  self:queue(window, pane, { text = body }, false)
end

--- Asks the daemon rather than the file, which may be a moment behind: the second of two quick presses
--- undoes the first.
function Actions:pause_or_resume(window)
  local stdout = self:ask(window, client.status(1))
  if not stdout then
    return
  end
  local answer = self.host.json(stdout)
  local paused = type(answer) == 'table' and type(answer.summary) == 'table' and answer.summary.paused == true
  if self:ask(window, { paused and 'resume' or 'pause' }) then
    self:toast(window, paused and 'Resumed' or 'Paused: what runs goes on, nothing new starts')
  end
end

-- ---- the task menu ----------------------------------------------------------------------------------------

function Actions:open_menu(window, pane)
  local stdout = self:ask(window, client.status(self.options.menu.limit))
  if not stdout then
    return
  end
  self.looked()
  local choices, tasks = menu.choices(self.host.json(stdout))
  if #choices == 0 then
    return self:toast(window, 'No task waits, runs or has failed')
  end
  self.menu_tasks = tasks
  self.host:perform(window, pane, self.host:selector('Tasks', choices, self.on_task))
end

function Actions:choose_deed(window, pane, id)
  local task = id and self.menu_tasks and self.menu_tasks[id]
  if not task then
    return
  end
  self.menu_deeds = menu.deeds(task)
  local choices = {}
  for index, deed in ipairs(self.menu_deeds) do
    choices[index] = { id = tostring(index), label = deed.label }
  end
  self.host:perform(window, pane, self.host:selector(menu.label(task), choices, self.on_deed))
end

function Actions:do_deed(window, pane, id)
  local deed = id and self.menu_deeds and self.menu_deeds[tonumber(id)]
  if not deed then
    return
  elseif deed.pane then
    local here = self.host:is_local(window, pane, self.options.local_domains)
    local action = self.host:spawn(self:argv(deed.pane), self.options.menu.place, here)
    self.host:perform(window, pane, action)
  elseif deed.ask then
    self.menu_ask = deed
    self.host:perform(window, pane, self.host:prompt_line(deed.ask, self.on_words))
  else
    self:run_deed(window, deed.run)
  end
end

function Actions:do_deed_with(window, _, line)
  local deed = self.menu_ask
  self.menu_ask = nil
  if deed and line and line ~= '' then
    self:run_deed(window, deed.run_with(line))
  end
end

function Actions:run_deed(window, arguments)
  local stdout, stderr = self:ask(window, arguments)
  if stdout then
    local said = text.line(stdout ~= '' and stdout or stderr, 200)
    self:toast(window, said ~= '' and said or 'Done')
  end
end

return M
