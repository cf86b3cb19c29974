--- Keys are appended, and take nothing away: neither from WezTerm nor from the user.

local config = require 'wezterm_parallel.config'
local default_keys = require 'support.default_keys'
local keys = require 'wezterm_parallel.keys'

describe('keys', function()
  it('take none of the defaults of WezTerm', function()
    local defaults, count = {}, 0
    for _, assignment in ipairs(default_keys.all()) do
      defaults[keys.chord(assignment.key, assignment.mods)] = true
      count = count + 1
    end
    assert.are.equal(true, count > 100)
    assert.is_truthy(defaults[keys.chord('C', 'CTRL')], 'the list is looked up as it is written')
    for name, chord in pairs(config.DEFAULTS.keys) do
      assert(not defaults[keys.chord(chord.key, chord.mods)], name .. ' takes a key of WezTerm')
    end
  end)

  it('differ from each other, and each has a name', function()
    local seen, count = {}, 0
    for _, chord in pairs(config.DEFAULTS.keys) do
      seen[keys.chord(chord.key, chord.mods)] = true
      count = count + 1
    end
    assert.are.equal(#keys.NAMES, count)
    local different = 0
    for _ in pairs(seen) do
      different = different + 1
    end
    assert.are.equal(count, different)
  end)

  it('have one name however they are written', function()
    local name = keys.chord('a', 'CTRL|SHIFT')
    for _, other in ipairs { { 'A', 'CTRL' }, { 'A', 'SHIFT|CTRL' }, { 'mapped:a', 'shift | ctrl' } } do
      assert.are.equal(name, keys.chord(other[1], other[2]))
    end
    assert.are.equal(keys.chord('x', 'CMD'), keys.chord('x', 'SUPER'))
    assert.are.equal(false, keys.chord('a', 'CTRL') == keys.chord('a', 'ALT'))
  end)

  it('come behind the user’s own, and leave out what is taken', function()
    local own = { { key = 'A', mods = 'CTRL', action = 'mine' }, { key = 'x', action = 'mine too' } }
    local actions = {}
    for _, name in ipairs(keys.NAMES) do
      actions[name] = name
    end
    local appended, taken = keys.append(own, config.DEFAULTS.keys, actions)
    assert.are.same({ 'prompt' }, taken)
    assert.are.equal(2, #own)
    assert.are.equal(1 + #keys.NAMES, #appended)
    assert.are.same(own[1], appended[1])
    for index = 3, #appended do
      assert.are.equal(false, appended[index].action == 'prompt')
    end
  end)

  it('that are off are left out', function()
    local none = {}
    for _, name in ipairs(keys.NAMES) do
      none[name] = false
    end
    assert.are.same({}, (keys.append(nil, none, {})))
  end)
end)
