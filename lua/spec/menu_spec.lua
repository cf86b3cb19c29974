--- The task menu: what is asked comes first, and nothing in it is an escape or an option.

local menu = require 'wezterm_parallel.menu'

local function task(id, state, more)
  local made = { id = id, state = state, priority = 100, command = 'make ' .. id }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

local function labels(entries)
  local words = {}
  for index, entry in ipairs(entries) do
    words[index] = entry.label
  end
  return words
end

describe('menu.choices', function()
  it('puts what needs the user first', function()
    local choices, failed = menu.choices {
      { tasks = { task('2', 'running'), task('4', 'waiting') } },
      -- It has ended since the first answer.
      { tasks = { task('3', 'failed'), task('2', 'failed') } },
      { tasks = { task('1', 'queued') } },
    }
    assert.are.same({
      '4  waiting  make 4',
      '2  running  make 2',
      '3  failed   make 3',
      '1  queued   make 1',
    }, labels(choices))
    assert.are.equal('2', choices[2].id)
    assert.are.equal(1, failed)
  end)

  it('keeps the order of equals, shows labels, argvs and questions, and hides escapes', function()
    local question = { request_id = 'r', tool = 'Bash', input = { command = 'echo\n\27[2Jhi' } }
    local choices = menu.choices {
      {
        tasks = {
          task('b', 'queued', { label = 'night' }),
          { id = 'a', state = 'queued', argv = { 'cargo', 'test' } },
          task('q', 'waiting', { questions = { question } }),
        },
      },
    }
    assert.are.same({
      'q  waiting  Bash: echo [2Jhi',
      'b  queued   [night] make b',
      'a  queued   cargo test',
    }, labels(choices))
  end)

  it('survives whatever the program printed', function()
    for _, answer in ipairs { {}, { tasks = 7 }, { tasks = { 1, {}, { id = '--help' } } }, 'x' } do
      assert.are.same({}, (menu.choices { answer }))
      assert.are.equal('integer', math.type(menu.count(answer)))
    end
    assert.are.same({}, (menu.choices {}))
  end)
end)
