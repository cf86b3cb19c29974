--- Options: what is wrong is named, and everything else still holds.

local config = require 'wezterm_parallel.config'

local function problems(given)
  local options, found = config.resolve(given)
  assert.are.equal('table', type(options.menu))
  return found
end

describe('config.resolve', function()
  it('takes no options, and what is right', function()
    assert.are.same({}, problems(nil))
    assert.are.same({}, problems {})
    local given = {
      bin = '/opt/bin/wezterm-parallel',
      env = { PATH = '/bin' },
      status = { side = 'left', icons = 'ascii', format = '{running}[ {attention}]' },
      keys = { prompt = { key = 'F5' }, pause = false },
      toasts = false,
      tabs = { ended = '' },
      menu = { place = 'right' },
    }
    local options, found = config.resolve(given)
    assert.are.same({}, found)
    assert.are.equal('left', options.status.side)
    assert.are.equal(15000, options.status.stale_ms)
    assert.are.same({ key = 'F5' }, options.keys.prompt)
    assert.are.equal(false, options.keys.pause)
    assert.are.equal('j', options.keys.menu.key)
    assert.are.equal(false, options.toasts)
    assert.are.equal('? ', options.tabs.attention)
  end)

  it('names an unknown option and the nearest known one', function()
    assert.are.same({ 'there is no option statsu: did you mean status?' }, problems { statsu = {} })
    assert.are.same(
      { 'there is no option status.colour: did you mean status.colors?' },
      problems { status = { colour = {} } }
    )
    assert.are.same({ 'there is no option whatever' }, problems { whatever = 1 })
  end)

  it('names a wrong value and keeps the default', function()
    local options, found = config.resolve {
      bin = 7,
      status = { side = 'top', stale_ms = 10, icons = { robot = 'x' } },
      keys = { prompt = 'CTRL+a' },
      toasts = { failure = 'yes' },
      menu = false,
      tabs = 'on',
    }
    assert.are.same({
      'option bin must be a text',
      "option keys.prompt must be false or a table like { key = 'a', mods = 'CTRL|SHIFT' }",
      'option menu must be a table',
      "option status.icons must be 'nerd', 'ascii' or a table of texts by the icon's name",
      "option status.side must be 'right' or 'left'",
      'option status.stale_ms must be a whole number from 6000 to 3600000',
      'option tabs must be a table, or false',
      'option toasts.failure must be true or false',
    }, found)
    assert.are.equal('right', options.status.side)
    assert.are.equal('a', options.keys.prompt.key)
    assert.are.equal(true, options.toasts.failure)
  end)

  it('names an unknown field of a format', function()
    local words = 'option status.format must be a text with known fields, and {%s} is none'
    assert.are.same(
      { words:format 'runing' .. ': did you mean {running}?' }, -- typos:ignore
      problems { status = { format = '{runing}' } } -- typos:ignore
    )
    assert.are.same({ words:format 'whatever' }, problems { status = { format = '{whatever}' } })
  end)

  it('survives whatever else is given', function()
    for _, given in ipairs { 7, 'on', true, { 1, 2 }, { [true] = {} }, { status = { 'a' } } } do
      assert.are.equal(true, #problems(given) > 0)
    end
  end)

  it('never hands out its own defaults', function()
    local options = config.resolve(nil)
    options.keys.prompt.key = 'q'
    assert.are.equal('a', config.resolve(nil).keys.prompt.key)
  end)
end)
