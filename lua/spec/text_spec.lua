--- What others wrote reaches the terminal as one harmless line.

local text = require 'wezterm_parallel.text'

describe('text.line', function()
  it('takes control characters, escapes and line ends away', function()
    assert.are.equal('a b ]52;c;aGk= c', text.line('a\nb\27]52;c;aGk=\7c', 80))
    assert.are.equal('a b', text.line('\r\n a\t\tb \0', 80))
  end)

  it('takes C1 controls and turns of direction away', function()
    assert.are.equal('abc', text.line('a\u{9B}b\u{202E}c', 80))
    assert.are.equal('abc', text.line('a\u{2066}b\u{200F}\u{FEFF}c', 80))
  end)

  it('replaces what is not UTF-8', function()
    assert.are.equal('a?b', text.line('a\xFFb', 80))
  end)

  it('cuts at whole characters', function()
    assert.are.equal('äöü', text.line('äöü', 3))
    assert.are.equal('äö…', text.line('äöüß', 3))
  end)
end)

describe('text.nearest', function()
  it('finds what was meant, or nothing', function()
    local names = { 'high', 'low', 'normal', 'urgent' }
    assert.are.equal('high', text.nearest('hihg', names)) -- typos:ignore
    assert.are.equal('urgent', text.nearest('Urgnt', names)) -- typos:ignore
    assert.are.equal('low', text.nearest('lo', names))
    assert.is_nil(text.nearest('tests', names))
  end)
end)
