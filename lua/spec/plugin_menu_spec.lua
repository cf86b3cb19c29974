--- The task menu in the plugin: each choice acts on the task that it names, whatever else is open.

local desks = require 'support.desk'
local stub = require 'support.wezterm_stub'

--- Tasks by their states, as the program prints them.
local TASKS = {
  ['7'] = '{"id":"7","state":"queued","priority":100,"command":"make"}',
  ['8'] = '{"id":"8","state":"waiting","priority":100,"command":"fix",'
    .. '"questions":[{"request_id":"r","tool":"Bash","input":{"command":"ls"}}]}',
  ['9'] = '{"id":"9","state":"waiting","priority":100,"command":"more",'
    .. '"questions":[{"request_id":"q","tool":"Bash","input":{"command":"rm"}}]}',
  ['10'] = '{"id":"10","state":"failed","command":"false"}',
}
local STATES = { waiting = { '8', '9' }, queued = { '7' }, failed = { '10' } }

--- What the program prints.
local function answer(argv)
  if argv[2] == 'show' then
    return true, TASKS[argv[3]] or 'null', ''
  elseif argv[2] ~= 'status' then
    return true, '', ''
  end
  local found = {}
  for state in argv[4]:gsub('^%-%-state=', ''):gmatch '%l+' do
    for _, id in ipairs(STATES[state] or {}) do
      found[#found + 1] = TASKS[id]
    end
  end
  return true, '{"tasks":[' .. table.concat(found, ',') .. '],"summary":{}}', ''
end

describe('the task menu', function()
  local path, desk

  before_each(function()
    path = path or os.tmpname()
    os.remove(path)
    desk = desks.new(path)
    desk.record.answer = answer
    desk:apply()
  end)

  after_each(function()
    os.remove(path)
  end)

  local function open()
    return desk:press(desk.parallel.actions.menu)
  end

  it('goes from the task to what is done, and says what it was', function()
    local tasks = open()
    assert.are.equal('InputSelector', tasks.name)
    assert.are.equal('8   waiting  Bash: ls', tasks.fields.choices[1].label)
    desk:choose(desk:choose(tasks, '8  '), 'allow')
    assert.are.equal('/bin/wp answer 8 allow --request=r', desk:ran())
    desk:choose(desk:choose(tasks, '7  '), 'raise')
    assert.are.equal('/bin/wp edit 7 --priority=150', desk:ran())
    desk:choose(desk:choose(tasks, '7  '), 'cancel')
    assert.are.equal('/bin/wp cancel 7', desk:ran())
    assert.are.same(
      { 'Answered task 8: allowed', 'Task 7 has priority 150', 'Cancelled task 7' },
      desk.seen.toasts
    )
  end)

  it('acts on its own task while others are open elsewhere', function()
    local here = desk:choose(open(), '7  ')
    local there = desk:choose(open(), '8  ')
    desk:choose(here, 'raise')
    assert.are.equal('/bin/wp edit 7 --priority=150', desk:ran())
    desk:choose(there, 'deny  ')
    assert.are.equal('/bin/wp answer 8 deny --request=r', desk:ran())
  end)

  it('asks for words, and gives them to the task that asked', function()
    local here = desk:choose(desk:choose(open(), '8  '), 'deny and say why')
    local there = desk:choose(desk:choose(open(), '9  '), 'deny and say why')
    assert.are.equal('PromptInputLine', here.name)
    assert.are.equal('What task 8 is told:', here.fields.description)
    desk:press(here, 'not that')
    assert.are.equal('/bin/wp answer 8 deny --request=r --message=not that', desk:ran())
    desk:press(there, 'nor this')
    assert.are.equal('/bin/wp answer 9 deny --request=q --message=nor this', desk:ran())
    local count = #desk.record.ran
    desk:press(there, nil)
    desk:press(there, '')
    assert.are.equal(count, #desk.record.ran)
    local handlers = 0
    for name in pairs(desk.record.handlers) do
      handlers = handlers + (name:find('words:', 1, true) and 1 or 0)
    end
    desk:choose(desk:choose(open(), '9  '), 'deny and say why')
    assert.are.equal(2, handlers, 'one for each question, however often it is asked')
  end)

  it('stays right when the configuration is loaded again, whatever that has', function()
    local tasks = open()
    local deeds = desk:choose(tasks, '7  ')
    local words = desk:choose(desk:choose(open(), '8  '), 'deny and say why')
    desk.wezterm.GLOBAL.x = true
    desk:load_again { keys = false }
    -- Callbacks are numbered anew; nothing of ours may be reached by a number.
    local count = #desk.record.ran
    desk:press(words, 'no')
    assert.are.equal(count, #desk.record.ran)
    desk:choose(deeds, 'raise')
    assert.are.equal('/bin/wp edit 7 --priority=150', desk:ran())
    assert.matches('^raise', desk:choose(tasks, '7  ').fields.choices[2].label)
  end)

  it('does nothing twice', function()
    desk:apply()
    local before = #desk.record.ran
    desk:choose(desk:choose(open(), '7  '), 'raise')
    -- Three for the menu, one for the task, one for the deed.
    assert.are.equal(before + 5, #desk.record.ran)
  end)

  it('ends a worker only when that is chosen twice', function()
    local sure = desk:choose(desk:choose(open(), '8  '), 'cancel')
    assert.are.equal('/bin/wp show 8 --json', desk:ran())
    assert.are.equal('Stop it? 8  waiting  Bash: ls', sure.fields.title)
    desk:choose(sure, 'no')
    assert.are.equal('/bin/wp show 8 --json', desk:ran())
    desk:choose(sure, 'yes')
    assert.are.equal('/bin/wp cancel 8', desk:ran())
    assert.are.same({ 'Cancelled task 8' }, desk.seen.toasts)
    -- It was queued when the menu was opened, and runs now.
    local deeds = desk:choose(open(), '7  ')
    local queued = TASKS['7']
    TASKS['7'] = queued:gsub('queued', 'running')
    desk:choose(deeds, 'cancel')
    TASKS['7'] = queued
    assert.are.equal('Stop it? 7  running  make', desk:opened().fields.title)
    assert.are.equal('/bin/wp show 7 --json', desk:ran())
  end)

  it('opens a viewer on this machine', function()
    local deeds = desk:choose(open(), '7  ')
    local spawned = desk:choose(deeds, 'attach')
    assert.are.equal('SpawnCommandInNewTab', spawned.name)
    assert.are.same({ '/bin/wp', 'attach', '--task', '7' }, spawned.fields.args)
    assert.are.equal('CurrentPaneDomain', spawned.fields.domain)
    desk.record.press(deeds, desk.window, stub.pane { domain = 'SSH:server' }, deeds.fields.choices[1].id)
    assert.are.same({ DomainName = 'local' }, desk:opened().fields.domain)
    desk:apply { menu = { place = 'right' } }
    assert.are.equal('SplitPane', desk:choose(desk:choose(open(), '7  '), 'attach').name)
  end)

  it('takes back what was not chosen', function()
    local tasks = open()
    local deeds = desk:choose(tasks, '7  ')
    local performed, ran = #desk.seen.performed, #desk.record.ran
    for _, action in ipairs { tasks, deeds } do
      desk:press(action, nil, nil)
      desk:press(action, '--help', 'x')
    end
    assert.are.equal(performed, #desk.seen.performed)
    assert.are.equal(ran, #desk.record.ran)
  end)

  it('says when a task has gone', function()
    local tasks = open()
    local kept = TASKS['7']
    TASKS['7'] = nil
    desk:choose(tasks, '7  ')
    TASKS['7'] = kept
    assert.are.same({ 'Task 7 cannot be shown' }, desk.seen.toasts)
  end)

  it('says when there is nothing to do', function()
    for _, printed in ipairs { '{"tasks":[]}', 'not JSON' } do
      desk.record.answer = function()
        return true, printed, ''
      end
      open()
    end
    desk.record.answer = function()
      return false, '', 'error: no daemon\n'
    end
    open()
    local nothing = 'No task waits, runs or has failed'
    assert.are.same({ nothing, nothing, 'no daemon' }, desk.seen.toasts)
    assert.are.same({}, desk.seen.performed)
  end)

  it('leaves room for what waits, runs and has failed', function()
    desk:apply { menu = { limit = 8 } }
    open()
    local asked = {}
    for index, argv in ipairs(desk.record.ran) do
      asked[index] = argv[4] .. ' ' .. argv[5]
    end
    assert.are.same({
      '--state=waiting,running,paused --limit=4',
      '--state=failed,lost --limit=3',
      '--state=queued,delayed,blocked,held --limit=5',
    }, asked)
  end)

  it('counts as a look at the failures that it shows, also after a reload', function()
    desk:write(3)
    desk:tick()
    assert.matches('! 3', desk.seen.status[#desk.seen.status])
    open()
    desk:tick()
    assert.matches('! 2', desk.seen.status[#desk.seen.status], 'it shows one')
    desk:load_again()
    assert.matches('! 2', desk.parallel.status_text())
  end)
end)
