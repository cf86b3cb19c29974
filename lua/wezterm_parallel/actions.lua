--- What the keys do: queue, pause, and the task menu. Each asks the program; a toast says what came of it.
---
--- Nothing here knows how a key is bound, or how the bar is drawn. WezTerm comes in as the host table.

local client = require 'wezterm_parallel.client'
local config = require 'wezterm_parallel.config'
local deeds = require 'wezterm_parallel.deeds'
local menu = require 'wezterm_parallel.menu'
local prompt = require 'wezterm_parallel.prompt'
local text = require 'wezterm_parallel.text'

local M = {}

--- Answers that are asked for in words, until the configuration is loaded again: WezTerm keeps the handler of
--- each for that long.
local ASKED_MAX = 500
local TOO_MANY = 'Too many answers since the configuration was loaded: load it again, or use '
  .. '`wezterm-parallel answer`'

---@class wezterm_parallel.Actions
local Actions = {}
Actions.__index = Actions

---@param host table
---@param options wezterm_parallel.Options
---@param looked fun(failed: integer) called when somebody sees so many tasks that have failed
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
  self.asked, self.asked_count = {}, 0
  self.named = function(name, place, call)
    return host:named(
      name,
      handler(place, function(...)
        call(self, ...)
      end)
    )
  end
  self.on_task = self.named('task', 'the task menu', self.choose_deed)
  self.on_deed = self.named('deed', 'the task menu', self.do_deed)
  return {
    prompt = host:prompt_line(
      'A prompt to queue. In front: !high or !180 for its priority, @name for its workspace.',
      asked('a prompt', function(_, window, pane, line)
        self:queue_line(window, pane, line, false)
      end)
    ),
    shell = host:prompt_line(
      'A shell command to queue. In front: !high or !180 for its priority, @name for its workspace.',
      asked('a command', function(_, window, pane, line)
        self:queue_line(window, pane, line, true)
      end)
    ),
    selection = asked('the selection', self.queue_selection),
    editor = asked('the editor', self.queue_with_editor),
    menu = asked('the task menu', self.open_menu),
    panes = asked('the panes', self.open_panes),
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
      workspace = typed.workspace,
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

--- The editor has a tab of its own, which says by itself what came of it. A program that is not there could
--- say nothing in it, so it is tried before.
function Actions:queue_with_editor(window, pane)
  local folder = self:folder(window, pane)
  if not folder or not self:ask(window, { '--version' }) then
    return
  end
  local editor = self.options.editor
  local action = self.host:spawn {
    argv = self:argv(client.queue_edited(folder, self.options.env)),
    place = 'tab',
    here = true,
    variables = editor and { VISUAL = editor },
  }
  self.host:perform(window, pane, action)
end

function Actions:open_panes(window)
  local _, said = self:ask(window, client.open_panes(self.options.panes))
  if said then
    self:toast(window, text.line(said, 300))
  end
end

--- Asks the daemon rather than the file, which may be a moment behind: the second of two quick presses
--- undoes the first.
function Actions:pause_or_resume(window)
  local stdout = self:ask(window, client.status(client.ACTIVE, 1))
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

--- The tasks of the menu, as answers of the program: what is active, then what has failed, then what waits,
--- none of which may crowd out the next. Nil after a toast with an error.
function Actions:tasks(window)
  local found, left = {}, self.options.menu.limit
  local groups = { client.ACTIVE, client.FAILED, client.WAITING }
  for index, states in ipairs(groups) do
    -- Half of what is left, so that something is left; the last one takes all.
    local limit = index < #groups and math.max(1, left // 2) or left
    if left > 0 then
      local stdout = self:ask(window, client.status(states, limit))
      if not stdout then
        return nil
      end
      found[index] = self.host.json(stdout) or {}
      left = left - menu.count(found[index])
    end
  end
  return found
end

function Actions:open_menu(window, pane)
  local found = self:tasks(window)
  if not found then
    return
  end
  local choices, failed = menu.choices(found)
  if #choices == 0 then
    return self:toast(window, 'No task waits, runs or has failed')
  end
  self.host:perform(window, pane, self.host:selector('Tasks', choices, self.on_task))
  self.looked(failed)
end

--- A task as it is now, or nil after a toast.
function Actions:task(window, id)
  local stdout = self:ask(window, client.show(id))
  local task = stdout and self.host.json(stdout)
  if type(task) == 'table' and task.id == id then
    return task
  elseif stdout then
    self:toast(window, ('Task %s cannot be shown'):format(id))
  end
end

function Actions:choose_deed(window, pane, id)
  local task = client.is_id(id) and self:task(window, id)
  if task then
    self.host:perform(window, pane, self.host:selector(menu.label(task), deeds.choices(task), self.on_deed))
  end
end

function Actions:do_deed(window, pane, id)
  local deed = deeds.of_id(id)
  if not deed then
    return
  elseif deed.name == 'attach' then
    local here = self.host:is_local(window, pane, self.options.local_domains)
    local argv = self:argv { 'attach', '--task', deed.task }
    local action = self.host:spawn { argv = argv, place = self.options.menu.place, here = here }
    self.host:perform(window, pane, action)
  elseif deed.name == 'cancel' then
    self:cancel(window, pane, deed)
  elseif deeds.missing(deed) then
    self:ask_for_words(window, pane, deed)
  else
    self:run_deed(window, deed)
  end
end

--- What has not begun is taken back; a worker is not ended by one wrong key. The menu may be an old one, so
--- the task is looked at again.
function Actions:cancel(window, pane, deed)
  local task = self:task(window, deed.task)
  if not task then
    return
  elseif deeds.has_started(task) then
    local title = 'Stop it? ' .. menu.label(task)
    self.host:perform(window, pane, self.host:selector(title, deeds.sure(task), self.on_deed))
  else
    self:run_deed(window, deed)
  end
end

--- A prompt hands back nothing but the line, so its action is one for this very question.
function Actions:ask_for_words(window, pane, deed)
  local id = deeds.id(deed)
  if not self.asked[id] then
    if self.asked_count >= ASKED_MAX then
      return self:toast(window, TOO_MANY)
    end
    self.asked_count = self.asked_count + 1
    self.asked[id] = self.named('words:' .. id, 'the task menu', function(_, window_there, _, line)
      if line and line ~= '' then
        self:run_deed(window_there, deed, line)
      end
    end)
  end
  self.host:perform(window, pane, self.host:prompt_line(deeds.missing(deed), self.asked[id]))
end

function Actions:run_deed(window, deed, typed)
  local arguments, done = deeds.run(deed, typed)
  if self:ask(window, arguments) then
    self:toast(window, done)
  end
end

return M
