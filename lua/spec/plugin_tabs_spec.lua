--- Marks of tabs in the plugin, by the events and variables of a stub of WezTerm.

local desks = require 'support.desk'
local stub = require 'support.wezterm_stub'

local ATTENTION, TASK = 'wezterm_parallel_attention', 'wezterm_parallel_task'

describe('marks of tabs', function()
  local path, desk

  before_each(function()
    path = path or os.tmpname()
    os.remove(path)
    desk = desks.new(path)
    desk:apply()
    desk:tick()
  end)

  after_each(function()
    os.remove(path)
  end)

  local function tab(id, active, window_id)
    return stub.tab_information({
      tab_id = id,
      tab_index = 0,
      is_active = active or false,
      window_id = window_id or 0,
      tab_title = '',
    }, 'sh')
  end

  local function title(...)
    local effective = stub.effective_config { use_fancy_tab_bar = false }
    return desk.record.ask('format-tab-title', tab(...), {}, {}, effective)
  end

  --- A pane with a viewer in a tab of its own.
  local function viewer(tab_id, task, attention)
    local variables = { [TASK] = task or '', [ATTENTION] = attention or '' }
    return stub.pane { id = tab_id * 10, tab_id = tab_id, variables = variables }, variables
  end

  local function hear(pane, value, name, window)
    desk.record.emit('user-var-changed', window or desk.window, pane, name or ATTENTION, value)
  end

  it('stand until they are seen', function()
    hear(viewer(2, '5', 'answer'), 'answer')
    assert.are.equal(' ? 1: sh ', title(2))
    assert.is_nil(title(1))
    assert.are.equal('? ', desk.parallel.tab_marker(tab(2)))
    desk:tick((stub.window { tab_id = 2, focused = false }))
    assert.are.equal(' ? 1: sh ', title(2))
    desk:tick((stub.window { tab_id = 2 }))
    assert.is_nil(title(2))
  end)

  it('are not made while somebody looks, or by what others say', function()
    hear(viewer(1, '5', 'ended'), 'ended')
    assert.is_nil(title(1))
    hear(viewer(2, '5', 'rm -rf /'), 'rm -rf /')
    hear(viewer(2, '5'), 'answer', 'other')
    assert.is_nil(title(2))
    hear(viewer(2, '5', 'ended'), 'ended')
    assert.are.equal(' * 1: sh ', title(2))
    assert.is_nil(desk.wezterm.GLOBAL.wezterm_parallel_tabs:find('rm', 1, true))
  end)

  it('go by what holds now, in whatever order it is heard', function()
    local pane, variables = viewer(2, '5', 'answer')
    hear(pane, 'answer')
    variables[ATTENTION] = ''
    hear(pane, '')
    hear(pane, 'answer')
    assert.is_nil(title(2), 'it has been answered')
    variables[ATTENTION] = 'answer'
    hear(pane, '')
    hear(pane, 'answer')
    assert.are.equal(' ? 1: sh ', title(2))
  end)

  it('of failures outlive the next task in the slot', function()
    local pane, variables = viewer(2, '11', 'failed')
    hear(pane, 'failed')
    variables[TASK], variables[ATTENTION] = '12', ''
    hear(pane, '')
    assert.are.equal(' ! 1: sh ', title(2))
    variables[ATTENTION] = 'answer'
    hear(pane, 'answer')
    assert.are.equal(' ? 1: sh ', title(2))
    variables[ATTENTION] = ''
    hear(pane, '')
    assert.are.equal(' ! 1: sh ', title(2))
    variables[ATTENTION] = 'ended'
    hear(pane, 'ended')
    assert.are.equal(' ! 1: sh ', title(2))
    desk:tick((stub.window { tab_id = 2 }))
    assert.is_nil(title(2))
  end)

  it('of failures are there even if the next task began before they were heard of', function()
    local pane = viewer(2, '12', '')
    hear(pane, '')
    hear(pane, 'failed')
    assert.are.equal(' ! 1: sh ', title(2))
  end)

  it('do not come back when a viewer says the same again', function()
    local pane = viewer(2, '11', 'failed')
    hear(pane, 'failed')
    desk:tick((stub.window { tab_id = 2 }))
    hear(pane, 'failed')
    assert.is_nil(title(2))
    local asking = viewer(3, '12', 'answer')
    hear(asking, 'answer')
    desk:tick((stub.window { tab_id = 3 }))
    hear(asking, 'answer')
    assert.is_nil(title(3))
  end)

  it('of failures go when the task is run again', function()
    local pane, variables = viewer(2, '11', 'failed')
    hear(pane, 'failed')
    variables[ATTENTION] = ''
    hear(pane, '')
    assert.is_nil(title(2))
  end)

  it('are found again when the configuration is loaded again, and what was seen is not', function()
    local failed, variables = viewer(2, '11', 'failed')
    hear(failed, 'failed')
    variables[TASK], variables[ATTENTION] = '12', ''
    hear(failed, '')
    local ended = viewer(3, '13', 'ended')
    hear(ended, 'ended')
    desk:tick((stub.window { tab_id = 3 }))
    local unheard = viewer(4, '14', 'answer')
    desk.window, desk.seen = stub.window { panes = { stub.pane(), failed, ended, unheard } }
    desk:load_again()
    desk:tick()
    assert.are.equal(' ! 1: sh ', title(2))
    assert.is_nil(title(3))
    assert.are.equal(' ? 1: sh ', title(4))
    -- The titles were drawn before the handler was there.
    assert.matches('\27%[0m$', desk.seen.status[1])
  end)

  it('are found in tabs that come later, and follow a pane into another tab', function()
    local panes = { stub.pane(), (viewer(2, '11', 'ended')) }
    desk.window = stub.window { panes = panes }
    desk:tick()
    assert.are.equal(' * 1: sh ', title(2))
    local variables = { [TASK] = '11', [ATTENTION] = 'ended' }
    panes[2] = stub.pane { id = 20, tab_id = 5, variables = variables }
    panes[3] = viewer(3, '12', 'failed')
    desk:tick()
    assert.is_nil(title(2))
    assert.are.equal(' * 1: sh ', title(5))
    assert.are.equal(' ! 1: sh ', title(3))
  end)

  it('stand on the active tab of a window that nobody looks at', function()
    local other, seen_there = stub.window { id = 1, tab_id = 2, focused = false }
    desk:tick(other)
    hear(viewer(2, '5', 'failed'), 'failed', nil, other)
    assert.are.equal(' ! 1: sh ', title(2, true, 1))
    desk:tick(other)
    assert.are.equal(' ! 1: sh ', title(2, true, 1))
    local looked = stub.window { id = 1, tab_id = 2 }
    desk:tick(looked)
    assert.is_nil(title(2, true, 1))
    assert.are.equal(1, #seen_there.status)
  end)

  it('have the tabs drawn anew when they go', function()
    hear(viewer(2, '5', 'ended'), 'ended')
    local window, seen = stub.window { tab_id = 2 }
    desk:tick(window)
    desk:tick(window)
    assert.are.equal(2, #seen.status)
    assert.are.equal(seen.status[2] .. '\27[0m', seen.status[1])
  end)

  it('leave the titles to a handler of the user’s own, wherever it stands', function()
    desk = desks.new(path)
    desk:apply()
    desk.wezterm.on('format-tab-title', function()
      return 'mine'
    end)
    desk:tick()
    desk:tick()
    assert.are.equal(2, #desk.record.handlers['format-tab-title'])
    hear(viewer(2, '5', 'answer'), 'answer')
    assert.are.equal('mine', title(2))
  end)
end)
