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
    config = stub.config()
    window, seen = stub.window()
  end)

  after_each(function()
    os.remove(path)
  end)

  describe('loading', function()
    it('starts nothing and takes nothing away', function()
      config = stub.config { { key = 'x', mods = 'CTRL', action = 'mine' } }
      apply()
      assert.are.same({}, record.ran)
      assert.are.same({}, record.log)
      assert.are.equal(8, #config.keys)
      assert.are.equal('mine', config.keys[1].action)
      assert.are.equal('PromptInputLine', config.keys[2].action.name)
      assert.is_nil(record.handlers['format-tab-title'])
    end)

    it('works where there is no GUI', function()
      wezterm, record = stub.new { gui = false }
      apply()
      assert.are.equal(7, #config.keys)
      assert.is_nil(record.handlers['update-status'])
      assert.is_nil(record.handlers['user-var-changed'])
    end)

    it('can be switched off in part', function()
      apply { keys = false, status = false, toasts = false, tabs = false }
      assert.is_nil(config.keys)
      assert.is_nil(record.handlers['user-var-changed'])
      status { attention = 1 }
      tick()
      status { attention = 2 }
      tick()
      assert.are.same({ toasts = {}, performed = {}, status = {}, asked_again = 0 }, seen)
      assert.are.equal('PromptInputLine', parallel.actions.prompt.name)
    end)

    it('names a wrong option once, in the log and as a toast', function()
      apply { statsu = {} }
      assert.are.same({ 'wezterm-parallel: there is no option statsu: did you mean status?' }, record.log)
      tick()
      tick()
      assert.are.same({ 'there is no option statsu: did you mean status?' }, seen.toasts)
      -- The configuration is loaded again, and is still wrong.
      config = stub.config()
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
      config = stub.config { { key = 'A', mods = 'CTRL|SHIFT', action = 'mine' } }
      apply()
      assert.are.equal(7, #config.keys)
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
      type_in('prompt', '!high @web --fix "it"; $(x)')
      assert.are.same({
        '/bin/wp',
        'queue',
        '--cwd=/home/me/api',
        '--env=PATH=/opt/bin',
        '--priority=high',
        '--workspace=web',
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

    it('opens an editor in a tab', function()
      apply { env = { A = '1' } }
      record.press(parallel.actions.editor, window, stub.pane { folder = '/home/me/api' })
      local spawned = seen.performed[1]
      assert.are.equal('SpawnCommandInNewTab', spawned.name)
      local argv = { '/bin/wp', 'queue', '--cwd=/home/me/api', '--env=A=1', '--edit' }
      assert.are.same(argv, spawned.fields.args)
      assert.is_nil(spawned.fields.set_environment_variables)
      apply { editor = 'nvim' }
      record.press(parallel.actions.editor, window, stub.pane())
      assert.are.same({ VISUAL = 'nvim' }, seen.performed[2].fields.set_environment_variables)
      record.press(parallel.actions.editor, window, stub.pane { domain = 'SSHMUX:server' })
      assert.are.equal(2, #seen.performed)
      assert.are.equal(1, #seen.toasts)
    end)

    it('says so when there is no program for the tab', function()
      apply()
      record.answer = function()
        error 'No such file or directory'
      end
      record.press(parallel.actions.editor, window, stub.pane())
      assert.are.same({}, seen.performed)
      assert.matches('/bin/wp cannot be run', seen.toasts[1])
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

  describe('the panes', function()
    it('are opened, and it is said how many', function()
      apply { panes = { layout = 'columns' } }
      record.answer = function()
        return true, '', 'opened 2 panes\n'
      end
      record.press(parallel.actions.panes, window, stub.pane())
      assert.are.equal('/bin/wp panes open --layout=columns --new-tab', last_run())
      record.answer = function()
        return false, '', 'error: WezTerm is not running\nhint: start it\n'
      end
      record.press(parallel.actions.panes, window, stub.pane())
      assert.are.same({ 'opened 2 panes', 'WezTerm is not running (start it)' }, seen.toasts)
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

  describe('the bar', function()
    it('is set when it changes, in every window', function()
      apply()
      status { running = 1 }
      tick()
      tick()
      tick()
      assert.are.same({ 'right: wp 1/4 ' }, seen.status)
      assert.are.equal(3, seen.asked_again, 'else WezTerm would not come again')
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
      assert.are.same({ 'left:<#909090> wp daemon off <>' }, seen.status)
    end)

    it('leaves nothing behind on a side that it has left', function()
      local function load_again(options)
        wezterm, record = stub.new { global = wezterm.GLOBAL }
        config = stub.config()
        apply(options)
      end
      apply { status = { side = 'left', icons = 'ascii' } }
      local other, seen_there = stub.window { id = 1 }
      tick()
      tick(other)
      load_again { status = { side = 'right', icons = 'ascii' } }
      tick()
      tick()
      tick(other)
      for _, shown in ipairs { seen, seen_there } do
        local last = { table.unpack(shown.status, 2) }
        assert.are.same({ 'left:', 'right:<#909090> wp daemon off <>' }, last)
      end
      load_again { status = false }
      tick()
      tick()
      assert.are.equal(4, #seen.status)
      assert.are.equal('right:', seen.status[4])
      load_again { status = false }
      tick()
      assert.are.equal(4, #seen.status)
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

    it('come with a bar of one’s own that is never set', function()
      apply { status = false }
      status { running = 1 }
      tick()
      tick()
      local other, seen_there = stub.window { id = 1 }
      tick(other)
      for seconds = 1, 3 do
        record.now_ms = record.now_ms + 1000
        status { attention = seconds }
        assert.are.equal(2, record.ring(), 'one timer for each window')
      end
      assert.are.equal(3, #seen.toasts + #seen_there.toasts)
      assert.are.same({}, seen.status)
      -- A window that is gone has nothing to tell.
      local gone = setmetatable({}, {
        __index = function()
          error 'this window is closed'
        end,
      })
      record.emit('update-status', gone, stub.pane())
      assert.are.equal(2, record.ring())
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
end)

describe('the stub', function()
  it('has nothing that 20240203 has not', function()
    local strict = stub.new()
    local action = strict.action
    for index, wrong in ipairs {
      function()
        return strict.serde
      end,
      function()
        return strict.to_strnig -- typos:ignore
      end,
      function()
        action.PromptInputLine { description = '', action = action.EmitEvent 'x', initial_value = 'x' }
      end,
      function()
        action.InputSelector { title = 'no action' }
      end,
      function()
        action.PromptInputLine { description = '', action = {} }
      end,
      function()
        action.SpawnCommandInNewTab { args = { 'true' }, domain = 'CurrentPane' }
      end,
      function()
        action.SpawnCommandInNewTab { args = { 7 } }
      end,
      function()
        action.SplitPane { direction = 'Bottom' }
      end,
      function()
        action.SplitPane { direction = 'Down', command = { args = { 'true' }, environment = {} } }
      end,
      function()
        strict.run_child_process { 'true' }
      end,
      function()
        strict.on('format-pane-title', print)
      end,
      function()
        stub.window():set_title 'x'
      end,
      function()
        return stub.window():effective_config().no_such_option
      end,
      function()
        return stub.pane().get_progress
      end,
      function()
        return stub.pane():get_current_working_dir().folder
      end,
      function()
        return stub.tab_information({ tab_id = 1 }).is_last_active
      end,
      function()
        return stub.tab_information({}, 'sh').active_pane.progress
      end,
      function()
        stub.config().window_decorations = 'NONE'
      end,
      function()
        stub.config().keys = { { key = 'x', mods = 'CTRL+SHIFT', action = 'mine' } }
      end,
      function()
        stub.config().keys = { { key = 'x', modifiers = 'CTRL', action = 'mine' } }
      end,
      function()
        strict.GLOBAL.x = {}
      end,
    } do
      assert(not pcall(wrong), 'it takes what is wrong: ' .. index)
    end
    assert.are.same({ a = { 1, 'x\n', true } }, json.parse '{"a":[1,"x\\n",true],"b":null}')
  end)
end)
