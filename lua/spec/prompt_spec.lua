--- What is typed at a prompt: a priority in front, all else as it is.

local prompt = require 'wezterm_parallel.prompt'

describe('prompt.parse', function()
  it('takes text as it is', function()
    for _, line in ipairs { 'fix it', '-', '--help', '@src/a.rs fix', 'it\'s $(x) `y` "z"', '!', '! a' } do
      assert.are.same({ text = line }, prompt.parse(line))
    end
  end)

  it('takes the priority from the front', function()
    assert.are.same({ text = 'fix the tests', priority = 'high' }, prompt.parse '!high fix the tests')
    assert.are.same({ text = 'x', priority = 'urgent' }, prompt.parse ' !URGENT  x')
    assert.are.same({ text = 'x', priority = '180' }, prompt.parse '!180 x')
  end)

  it('refuses a priority that is none', function()
    local function problem(line)
      local typed, words = prompt.parse(line)
      assert.is_nil(typed)
      return words
    end
    assert.are.equal('a priority is 0 to 255, not 256', problem '!256 x')
    assert.are.equal('a priority is 0 to 255, not 9999999999', problem '!9999999999 x')
    assert.are.equal('there is no priority !urgnt: did you mean !urgent?', problem '!urgnt x') -- typos:ignore
  end)

  it('leaves other words behind an exclamation mark alone', function()
    assert.are.same({ text = '!important: fix' }, prompt.parse '!important: fix')
  end)

  it('refuses what cannot be queued', function()
    for _, line in ipairs { '', '  ', '!high', '!high  ', 'a\0b', ('x'):rep(200 * 1024) } do
      assert.is_nil((prompt.parse(line)))
    end
  end)
end)
