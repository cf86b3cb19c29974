--- Marks of tabs: made by what `attach` can say and nothing else, gone when somebody looks.

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

  it('show the most urgent mark until they are seen', function()
    local marks = tabs.new()
    assert.is_nil(marks:mark(1))
    marks:set(10, 1, 'ended')
    marks:set(11, 1, 'attention')
    marks:set(12, 1, 'failed')
    marks:set(20, 2, 'ended')
    assert.are.equal('attention', marks:mark(1))
    marks:set(11, 1, nil)
    assert.are.equal('failed', marks:mark(1))
    marks:seen(1)
    assert.is_nil(marks:mark(1))
    assert.are.equal('ended', marks:mark(2))
    assert.are.equal(1, marks.count)
  end)

  it('hold a bounded number of panes', function()
    local marks = tabs.new()
    for pane_id = 1, 5000 do
      marks:set(pane_id, 1, 'ended')
    end
    assert.are.equal(1000, marks.count)
    marks:seen(1)
    assert.are.equal(0, marks.count)
  end)

  it('keep the title that WezTerm would show', function()
    local tab = { tab_index = 2, tab_title = '', active_pane = { title = 'make\27]0;x' } }
    local plain = { show_tab_index_in_tab_bar = true, use_fancy_tab_bar = true }
    assert.are.equal('? 3: make ]0;x', tabs.title(tab, '? ', plain))
    tab.tab_title = 'mine'
    local classic = { use_fancy_tab_bar = false, tab_and_split_indices_are_zero_based = true }
    assert.are.equal(' ? 2: mine ', tabs.title(tab, '? ', classic))
    assert.are.equal('? mine', tabs.title(tab, '? ', { show_tab_index_in_tab_bar = false }))
    assert.are.equal('? 1: ', tabs.title({ tab_index = 0 }, '? ', plain))
  end)
end)
