--- The whole plugin under a strict stub of WezTerm 20240203: loading, keys, menu, bar, toasts and tabs.

local json = require 'support.json'
local plugin = require 'wezterm_parallel.plugin'
local stub = require 'support.wezterm_stub'

local path, wezterm, record, config, parallel, window, seen

local function status(given)
  local file = assert(io.open(path, 'wb'))
  file:write(
    ('{"updated_at_ms":%d,"queued":%d,"running":%d,"slots":4,"paused":%s,"attention":%d,"failed":%d}'):format(
      record.now_ms,
      given.queued or 0,
      given.running or 0,
      tostring(given.paused or false),
      given.attention or 0,
      given.failed or 0
    )
  )
  file:close()
end

local function apply(options)
  options = options or {}
  options.status_file = path
  options.bin = options.bin or '/bin/wp'
  if options.status == nil then
    options.status = { icons = 'ascii' }
  end
  parallel = plugin.new(wezterm)
  parallel.apply_to_config(config, options)
end

local function last_run()
  return table.concat(record.ran[#record.ran] or {}, ' ')
end

--- Time goes on by a second, and the bars are brought up to date.
local function tick(shown_in)
  record.now_ms = record.now_ms + 1000
  record.emit('update-status', shown_in or window, stub.pane())
end

describe('plugin', function()
  before_each(function()
    path = path or os.tmpname()
    os.remove(path)
    wezterm, record = stub.new()
    config = {}
    window, seen = stub.window()
  end)

  after_each(function()
    os.remove(path)
  end)

  describe('loading', function()
    it('starts nothing and takes nothing away', function()
      config.keys = { { key = 'x', mods = 'CTRL', action = 'mine' } }
      apply()
      assert.are.same({}, record.ran)
      assert.are.same({}, record.log)
      assert.are.equal(6, #config.keys)
      assert.are.equal('mine', config.keys[1].action)
      assert.are.equal('PromptInputLine', config.keys[2].action.name)
      assert.is_nil(record.handlers['format-tab-title'])
    end)

    it('works where there is no GUI', function()
      wezterm, record = stub.new { gui = false }
      apply()
      assert.are.equal(5, #config.keys)
      assert.are.same({}, record.handlers)
    end)

    it('can be switched off in part', function()
      apply { keys = false, status = false, toasts = false, tabs = false }
      assert.is_nil(config.keys)
      assert.is_nil(record.handlers['user-var-changed'])
      status { attention = 1 }
      tick()
      status { attention = 2 }
      tick()
      assert.are.same({ toasts = {}, performed = {}, status = {} }, seen)
      assert.are.equal('PromptInputLine', parallel.actions.prompt.name)
    end)

    it('names a wrong option once, in the log and as a toast', function()
      apply { statsu = {} }
      assert.are.same({ 'wezterm-parallel: there is no option statsu: did you mean status?' }, record.log)
      tick()
      tick()
      assert.are.same({ 'there is no option statsu: did you mean status?' }, seen.toasts)
      -- The configuration is loaded again, and is still wrong.
      config = {}
      apply { statsu = {} }
      tick()
      assert.are.equal(1, #seen.toasts)
    end)

    it('survives a configuration that takes nothing', function()
      local stubborn = setmetatable({}, {
        __newindex = function()
          error 'no such field'
        end,
      })
      parallel = plugin.new(wezterm)
      parallel.apply_to_config(stubborn, {})
      assert.are.equal(1, #record.log)
      parallel.apply_to_config(nil, 'x')
    end)

    it('leaves a key to the user who has it', function()
      config.keys = { { key = 'A', mods = 'CTRL|SHIFT', action = 'mine' } }
      apply()
      assert.are.equal(5, #config.keys)
      assert.matches('keys.prompt is left out', record.log[1])
    end)
  end)

  describe('queueing', function()
    local function type_in(name, line, pane)
      record.press(parallel.actions[name], window, pane or stub.pane { folder = '/home/me/api' }, line)
    end

    it('hands over what was typed, whatever it is', function()
      record.answer = function()
        return true, '12\n', ''
      end
      apply { env = { PATH = '/opt/bin' } }
      type_in('prompt', '!high --fix "it"; $(x)')
      assert.are.same({
        '/bin/wp',
        'queue',
        '--cwd=/home/me/api',
        '--priority=high',
        '--env=PATH=/opt/bin',
        '--prompt=--fix "it"; $(x)',
      }, record.ran[1])
      assert.are.same({ 'Queued as task 12' }, seen.toasts)
      type_in('shell', 'make test')
      assert.are.equal('--shell', record.ran[2][5])
    end)

    it('queues the selection with all its lines', function()
      apply()
      window, seen = stub.window { selection = '!high is part of it\nsecond' }
      record.press(parallel.actions.selection, window, stub.pane())
      assert.are.equal('--prompt=!high is part of it\nsecond', record.ran[1][4])
      window, seen = stub.window { selection = ' \n' }
      record.press(parallel.actions.selection, window, stub.pane())
      assert.are.same({ 'Nothing is selected' }, seen.toasts)
      assert.are.equal(1, #record.ran)
    end)

    it('does nothing when nothing was typed', function()
      apply()
      type_in('prompt', nil)
      type_in('prompt', '')
      assert.are.same({}, record.ran)
      assert.are.same({}, seen.toasts)
    end)

    it('says what is wrong with what was typed, and with what came back', function()
      apply()
      type_in('prompt', '!999 x')
      assert.are.same({ 'a priority is 0 to 255, not 999' }, seen.toasts)
      record.answer = function()
        return false, '', 'error: the queue is full\nhint: wait\n'
      end
      type_in('prompt', 'x')
      assert.are.equal('the queue is full (wait)', seen.toasts[2])
      record.answer = function()
        error 'No such file or directory'
      end
      type_in('prompt', 'x')
      assert.matches('/bin/wp cannot be run: .*No such file', seen.toasts[3])
      assert.are.same({}, record.log)
    end)

    it('refuses panes on other machines', function()
      apply { local_domains = { 'mine' } }
      local remote = {
        { domain = 'SSHMUX:server' },
        { domain = 'server' },
        { host = 'server.example.org' },
        { scheme = 'ftp' },
        { no_folder = true },
      }
      for index, given in ipairs(remote) do
        type_in('prompt', 'x', stub.pane(given))
        assert.are.equal(index, #seen.toasts)
      end
      assert.are.same({}, record.ran)
      local here = { {}, { domain = 'unix' }, { domain = 'mine' }, { host = 'DESK' }, { host = 'localhost' } }
      for index, given in ipairs(here) do
        type_in('prompt', 'x', stub.pane(given))
        assert.are.equal(index, #record.ran)
      end
    end)

    it('refuses a Unix domain behind a proxy', function()
      apply()
      window, seen = stub.window { unix_domains = { { name = 'far', proxy_command = { 'ssh', 'far' } } } }
      type_in('prompt', 'x', stub.pane { domain = 'far' })
      assert.are.same({}, record.ran)
      assert.are.equal(1, #seen.toasts)
    end)
  end)

  describe('pause', function()
    it('and resume take turns by what the daemon says', function()
      apply()
      local paused = false
      record.answer = function()
        return true, ('{"tasks":[],"summary":{"paused":%s}}'):format(paused), ''
      end
      record.press(parallel.actions.pause, window, stub.pane())
      assert.are.equal('/bin/wp pause', last_run())
      paused = true
      record.press(parallel.actions.pause, window, stub.pane())
      assert.are.equal('/bin/wp resume', last_run())
      assert.are.same({ 'Paused: what runs goes on, nothing new starts', 'Resumed' }, seen.toasts)
    end)
  end)

  describe('the menu', function()
    local TASKS = [[{"tasks":[
      {"id":"7","state":"queued","priority":100,"command":"make"},
      {"id":"8","state":"waiting","priority":100,"command":"fix",
       "questions":[{"request_id":"r","tool":"Bash","input":{"command":"ls"}}]}
    ],"summary":{}}]]

    local function open()
      record.answer = function(argv)
        return true, argv[2] == 'status' and TASKS or '', ''
      end
      record.press(parallel.actions.menu, window, stub.pane())
      return seen.performed[#seen.performed]
    end

    local function choose(action, label)
      for _, choice in ipairs(action.fields.choices) do
        if choice.label:find(label, 1, true) then
          record.press(action, window, stub.pane(), choice.id, choice.label)
          return seen.performed[#seen.performed]
        end
      end
      error('no choice ' .. label)
    end

    it('goes from the task to what is done', function()
      apply()
      local tasks = open()
      assert.are.equal('InputSelector', tasks.name)
      assert.matches('^/bin/wp status %-%-json %-%-state=waiting,.* %-%-limit=200$', last_run())
      assert.are.equal('8  waiting  Bash: ls', tasks.fields.choices[1].label)
      choose(choose(tasks, '8  '), 'allow')
      assert.are.equal('/bin/wp answer 8 allow --request=r', last_run())
      choose(choose(tasks, '7  '), 'raise')
      assert.are.equal('/bin/wp edit 7 --priority=150', last_run())
      assert.are.same({ 'Done', 'Done' }, seen.toasts)
    end)

    it('asks for words where it needs some', function()
      apply()
      local line = choose(choose(open(), '8  '), 'deny and say why')
      assert.are.equal('PromptInputLine', line.name)
      record.press(line, window, stub.pane(), 'not that')
      assert.are.equal('/bin/wp answer 8 deny --request=r --message=not that', last_run())
      local count = #record.ran
      record.press(line, window, stub.pane(), 'again')
      assert.are.equal(count, #record.ran, 'an old overlay answers nothing')
    end)

    it('opens a viewer on this machine', function()
      apply()
      local spawned = choose(choose(open(), '7  '), 'attach')
      assert.are.equal('SpawnCommandInNewTab', spawned.name)
      assert.are.same({ '/bin/wp', 'attach', '--task', '7' }, spawned.fields.args)
      assert.are.equal('CurrentPaneDomain', spawned.fields.domain)
      local deeds = choose(open(), '7  ')
      record.press(deeds, window, stub.pane { domain = 'SSH:server' }, '1')
      assert.are.same({ DomainName = 'local' }, seen.performed[#seen.performed].fields.domain)
      apply { menu = { place = 'right' } }
      assert.are.equal('SplitPane', choose(choose(open(), '7  '), 'attach').name)
    end)

    it('takes back what was not chosen', function()
      apply()
      local tasks = open()
      local count = #seen.performed
      record.press(tasks, window, stub.pane(), nil, nil)
      record.press(tasks, window, stub.pane(), '--help', 'x')
      assert.are.equal(count, #seen.performed)
    end)

    it('says when there is nothing to do', function()
      apply()
      record.answer = function()
        return true, '{"tasks":[]}', ''
      end
      record.press(parallel.actions.menu, window, stub.pane())
      record.answer = function()
        return true, 'not JSON', ''
      end
      record.press(parallel.actions.menu, window, stub.pane())
      assert.are.equal(2, #seen.toasts)
      assert.are.same({}, seen.performed)
    end)

    it('counts as a look at the failures, also after a reload', function()
      apply()
      status { failed = 2 }
      tick()
      assert.are.equal('right: wp 0/4<Red> ! 2<> ', seen.status[#seen.status])
      open()
      tick()
      assert.are.equal('right: wp 0/4 ', seen.status[#seen.status])
      config = {}
      apply()
      assert.are.equal(' wp 0/4 ', parallel.status_text())
    end)
  end)

  describe('the bar', function()
    it('is set when it changes, in every window', function()
      apply()
      status { running = 1 }
      tick()
      tick()
      tick()
      assert.are.same({ 'right: wp 1/4 ' }, seen.status)
      local other, seen_there = stub.window { id = 1 }
      tick(other)
      assert.are.same({ 'right: wp 1/4 ' }, seen_there.status)
      status { running = 2 }
      tick()
      assert.are.equal('right: wp 2/4 ', seen.status[2])
      assert.are.same({}, record.ran)
    end)

    it('has the icons of a Nerd Font', function()
      apply { status = {} }
      status { queued = 1, paused = true, attention = 1, failed = 1 }
      tick()
      local words = seen.status[1]
      for _, name in ipairs { 'robot_outline', 'tray_full', 'pause', 'comment_question', 'alert_circle' } do
        assert.matches('<md_' .. name .. '>', words)
      end
      for _, name in pairs(require('wezterm_parallel.config').ICONS.nerd) do
        assert.are.equal('<' .. name .. '>', wezterm.nerdfonts[name])
      end
    end)

    it('can be on the left', function()
      apply { status = { side = 'left', icons = 'ascii' } }
      tick()
      assert.are.same({ 'left:<Grey> wp daemon off <>' }, seen.status)
    end)

    it('is there for bars of one’s own', function()
      apply { status = false }
      status { running = 3 }
      assert.matches(' 3/4 ', parallel.status_text())
      record.now_ms = record.now_ms + 1000
      status { attention = 1 }
      assert.matches('<Yellow>', parallel.status_formatted())
      assert.matches(' 1 ', parallel.tabline(window))
      -- Before any configuration it is a text too.
      assert.are.equal('string', type(plugin.new(wezterm).status_text()))
    end)
  end)

  describe('toasts', function()
    it('tell once what is new', function()
      apply()
      status { running = 1, attention = 1 }
      tick()
      assert.are.same({}, seen.toasts)
      status { running = 1, attention = 2, failed = 1 }
      tick()
      tick()
      assert.are.same({ '2 tasks need an answer', 'A task failed' }, seen.toasts)
      local other, seen_there = stub.window { id = 1 }
      tick(other)
      assert.are.same({}, seen_there.toasts)
      status { failed = 1 }
      tick()
      assert.are.equal('The queue is empty', seen.toasts[3])
    end)

    it('can be switched off one by one', function()
      apply { toasts = { failure = false } }
      status { running = 1 }
      tick()
      status { running = 1, failed = 1 }
      tick()
      assert.are.same({}, seen.toasts)
    end)

    it('are not lost to a bar that has no window', function()
      apply()
      status { running = 1 }
      tick()
      record.now_ms = record.now_ms + 1000
      status { running = 1, attention = 1 }
      assert.matches(' 1 ', parallel.status_text())
      assert.are.same({}, seen.toasts)
      record.emit('update-status', window, stub.pane())
      assert.are.same({ 'A task needs an answer' }, seen.toasts)
    end)
  end)

  describe('tabs', function()
    local function tab(id, active)
      local pane = { title = 'sh' }
      return { tab_id = id, tab_index = 0, is_active = active, tab_title = '', active_pane = pane }
    end

    local function title(id, active)
      return record.ask('format-tab-title', tab(id, active), {}, {}, { use_fancy_tab_bar = false })
    end

    local function say(pane, value, name)
      record.emit('user-var-changed', window, pane, name or 'wezterm_parallel_attention', value)
    end

    it('are marked until they are seen', function()
      apply()
      tick()
      say(stub.pane { id = 5, tab_id = 2 }, 'answer')
      assert.are.equal(' ? 1: sh ', title(2, false))
      assert.is_nil(title(2, true))
      assert.is_nil(title(1, false))
      assert.are.equal('? ', parallel.tab_marker(tab(2, false)))
      tick((stub.window { tab_id = 2, focused = false }))
      assert.are.equal(' ? 1: sh ', title(2, false))
      tick((stub.window { tab_id = 2 }))
      assert.is_nil(title(2, false))
    end)

    it('are not marked while somebody looks, or by what others say', function()
      apply()
      tick()
      say(stub.pane { tab_id = 1 }, 'ended')
      assert.is_nil(title(1, false))
      say(stub.pane { tab_id = 2 }, 'rm -rf /')
      say(stub.pane { tab_id = 2 }, 'answer', 'other')
      assert.is_nil(title(2, false))
      say(stub.pane { tab_id = 2 }, 'ended')
      assert.are.equal(' * 1: sh ', title(2, false))
      say(stub.pane { tab_id = 2 }, '')
      assert.is_nil(title(2, false))
    end)

    it('leave the titles to a handler of the user’s own, wherever it stands', function()
      apply()
      wezterm.on('format-tab-title', function()
        return 'mine'
      end)
      tick()
      tick()
      assert.are.equal(2, #record.handlers['format-tab-title'])
      say(stub.pane { tab_id = 2 }, 'answer')
      assert.are.equal('mine', title(2, false))
    end)
  end)
end)

describe('the stub', function()
  it('has nothing that 20240203 has not', function()
    local strict = stub.new()
    for _, wrong in ipairs {
      function()
        return strict.serde
      end,
      function()
        return strict.to_strnig -- typos:ignore
      end,
      function()
        strict.action.PromptInputLine { description = '', action = {}, initial_value = 'x' }
      end,
      function()
        strict.action.InputSelector { title = 'no action' }
      end,
      function()
        strict.run_child_process { 'true' }
      end,
      function()
        stub.window():set_title 'x'
      end,
      function()
        return stub.pane().get_progress
      end,
      function()
        strict.GLOBAL.x = {}
      end,
    } do
      assert.has_error(wrong)
    end
    assert.are.same({ a = { 1, 'x\n', true } }, json.parse '{"a":[1,"x\\n",true],"b":null}')
  end)
end)
