--- Marks of tabs: made by what `attach` can say and nothing else, gone when somebody looks.

local stub = require 'support.wezterm_stub'
local tabs = require 'wezterm_parallel.tabs'

describe('tabs', function()
  it('trust no user var', function()
    assert.are.equal('attention', tabs.mark_of 'answer')
    assert.are.equal('failed', tabs.mark_of 'failed')
    assert.are.equal('ended', tabs.mark_of 'ended')
    for _, value in ipairs { '', 'Answer', '\27[31m', ('a'):rep(100000), 7, true, {} } do
      assert.is_nil(tabs.mark_of(value))
    end
    assert.is_nil(tabs.mark_of(nil))
  end)

  local function hear(marks, pane_id, tab_id, value)
    local variables = { wezterm_parallel_task = tostring(pane_id), wezterm_parallel_attention = value }
    marks:hear(pane_id, tab_id, value, variables, false)
  end

  it('show the most urgent mark until they are seen', function()
    local marks = tabs.new()
    assert.is_nil(marks:mark(1))
    hear(marks, 10, 1, 'ended')
    hear(marks, 11, 1, 'answer')
    hear(marks, 12, 1, 'failed')
    hear(marks, 20, 2, 'ended')
    assert.are.equal('attention', marks:mark(1))
    hear(marks, 11, 1, '')
    assert.are.equal('failed', marks:mark(1))
    assert.are.equal(true, marks:seen(1))
    assert.is_nil(marks:mark(1))
    assert.are.equal('ended', marks:mark(2))
    assert.are.equal(1, marks.marked)
    assert.are.equal(false, marks:seen(1))
  end)

  it('hold a bounded number of panes, the newest', function()
    local marks = tabs.new()
    for pane_id = 1, 1000 do
      hear(marks, pane_id, 1, 'ended')
    end
    assert.are.equal(200, marks.marked)
    assert.is_nil(marks.viewers[800])
    assert.is_truthy(marks.viewers[801])
    assert.are.equal(200, tabs.restore(marks:saved()).marked)
    marks:seen(1)
    assert.are.equal(0, marks.marked)
  end)

  it('forget panes without a viewer', function()
    local marks = tabs.new()
    local function say(task, attention)
      local variables = { wezterm_parallel_task = task, wezterm_parallel_attention = attention }
      marks:hear(10, 1, attention, variables, false)
    end
    say('7', 'failed')
    say('', '')
    assert.are.equal('failed', marks:mark(1), 'nobody has seen it')
    marks:seen(1)
    assert.is_nil(next(marks.viewers))
  end)

  it('are the same after they were saved', function()
    local marks = tabs.new()
    hear(marks, 10, 1, 'ended')
    hear(marks, 11, 2, 'answer')
    hear(marks, 12, 3, 'failed')
    marks:hear(12, 3, '', { wezterm_parallel_task = 'b.2-c_d' }, false)
    marks:hear(13, 4, 'ended', { wezterm_parallel_task = 'a,b;', wezterm_parallel_attention = 'ended' }, true)
    assert.are.equal(true, marks.changed)
    local restored = tabs.restore(marks:saved())
    assert.are.equal(false, marks.changed)
    assert.are.same(marks.viewers, restored.viewers)
    assert.are.equal(3, restored.marked)
    for _, wrong in ipairs { '', 'x', '1,2,3;', '-1,1,,,,ended,;', 7, {} } do
      assert.are.equal(0, tabs.restore(wrong).marked)
    end
    assert.are.equal(0, tabs.restore(nil).marked)
  end)

  it('keep the title that WezTerm would show', function()
    local function title(tab_title, effective)
      local tab = stub.tab_information({ tab_index = 2, tab_title = tab_title }, 'make\27]0;x')
      return tabs.title(tab, '? ', stub.effective_config(effective))
    end
    assert.are.equal(
      '? 3: make ]0;x',
      title('', { show_tab_index_in_tab_bar = true, use_fancy_tab_bar = true })
    )
    local classic = { use_fancy_tab_bar = false, tab_and_split_indices_are_zero_based = true }
    assert.are.equal(' ? 2: mine ', title('mine', classic))
    assert.are.equal('? mine', title('mine', { show_tab_index_in_tab_bar = false }))
    local bare = stub.tab_information { tab_index = 0 }
    assert.are.equal('? 1: ', tabs.title(bare, '? ', stub.effective_config {}))
  end)
end)
