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
    local choices, tasks = menu.choices {
      tasks = { task('1', 'queued'), task('2', 'running'), task('3', 'failed'), task('4', 'waiting') },
    }
    assert.are.same({
      '4  waiting  make 4',
      '2  running  make 2',
      '3  failed  make 3',
      '1  queued  make 1',
    }, labels(choices))
    assert.are.equal('2', tasks['2'].id)
  end)

  it('keeps the order of equals, shows labels, argvs and questions, and hides escapes', function()
    local question = { request_id = 'r', tool = 'Bash', input = { command = 'echo\n\27[2Jhi' } }
    local choices = menu.choices {
      tasks = {
        task('b', 'queued', { label = 'night' }),
        { id = 'a', state = 'queued', argv = { 'cargo', 'test' } },
        task('q', 'waiting', { questions = { question } }),
      },
    }
    assert.are.same({
      'q  waiting  Bash: echo [2Jhi',
      'b  queued  [night] make b',
      'a  queued  cargo test',
    }, labels(choices))
  end)

  it('survives whatever the program printed', function()
    for _, answer in ipairs { {}, { tasks = 7 }, { tasks = { 1, {}, { id = '--help' } } }, 'x' } do
      assert.are.same({}, (menu.choices(answer)))
    end
    assert.are.same({}, (menu.choices(nil)))
  end)
end)

describe('menu.deeds', function()
  local function runs(deeds)
    local all = {}
    for index, deed in ipairs(deeds) do
      all[index] = table.concat(deed.run or deed.pane or deed.run_with 'WORDS', ' ')
    end
    return all
  end

  it('fit the state of the task', function()
    assert.are.same({
      'attach --task 1',
      'edit 1 --priority=150',
      'edit 1 --priority=50',
      'cancel 1',
    }, runs(menu.deeds(task('1', 'queued'))))
    assert.are.same({ 'attach --task 1', 'cancel 1' }, runs(menu.deeds(task('1', 'running'))))
    assert.are.same({ 'attach --task 1', 'retry 1' }, runs(menu.deeds(task('1', 'failed'))))
  end)

  it('answer a permission', function()
    local question = { request_id = 'r', tool = 'Bash', input = { command = 'ls' } }
    local deeds = menu.deeds(task('1', 'waiting', { questions = { question } }))
    assert.are.same({
      'answer 1 allow --request=r',
      'answer 1 deny --request=r',
      'answer 1 deny --request=r --message=WORDS',
      'attach --task 1',
      'cancel 1',
    }, runs(deeds))
    assert.are.equal('allow  Bash: ls', deeds[1].label)
  end)

  it('answer a question that offers answers', function()
    local drink = { question = 'Drink?', options = { { label = 'Tea' }, { label = 'a=b' } } }
    local question = { request_id = 'r', tool = 'AskUserQuestion', input = { questions = { drink } } }
    local deeds = menu.deeds(task('1', 'waiting', { questions = { question } }))
    assert.are.same({
      'answer 1 allow --request=r --choose=Drink?=Tea',
      'answer 1 allow --request=r --choose=Drink?=a=b',
      'answer 1 allow --request=r --choose=Drink?=WORDS',
      'answer 1 deny --request=r',
      'answer 1 deny --request=r --message=WORDS',
      'attach --task 1',
      'cancel 1',
    }, runs(deeds))
    assert.are.equal('Drink?', deeds[3].ask)
  end)

  it('leave several questions at once to the command line', function()
    local two = { { question = 'A?', options = {} }, { question = 'B?', options = {} } }
    local question = { request_id = 'r', tool = 'AskUserQuestion', input = { questions = two } }
    local deeds = menu.deeds(task('1', 'waiting', { questions = { question } }))
    assert.are.equal('answer 1 deny --request=r', table.concat(deeds[1].run, ' '))
  end)
end)
