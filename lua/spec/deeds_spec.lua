--- What can be done with a task: all of it is in the id of the choice, and only what is right comes back.

local deeds = require 'wezterm_parallel.deeds'

local function task(state, question)
  local questions = question and { question } or nil
  return { id = '1', state = state, priority = 100, command = 'make', questions = questions }
end

--- What each choice does, read back from its id.
local function runs(choices)
  local all = {}
  for index, choice in ipairs(choices) do
    local deed = deeds.of_id(choice.id)
    if deed.name == 'attach' then
      all[index] = 'attach ' .. deed.task
    else
      all[index] = table.concat((deeds.run(deed, deeds.missing(deed) and 'WORDS')), ' ')
    end
  end
  return all
end

local function done(name, more)
  local deed = { name = name, task = '7' }
  for field, value in pairs(more or {}) do
    deed[field] = value
  end
  local _, words = deeds.run(deeds.of_id(deeds.id(deed)), 'so')
  return words
end

describe('deeds', function()
  it('fit the state of the task', function()
    assert.are.same(
      { 'attach 1', 'edit 1 --priority=150', 'edit 1 --priority=50', 'cancel 1' },
      runs(deeds.choices(task 'queued'))
    )
    assert.are.same({ 'attach 1', 'cancel 1' }, runs(deeds.choices(task 'running')))
    assert.are.same({ 'attach 1', 'retry 1' }, runs(deeds.choices(task 'failed')))
  end)

  it('keep priorities in their range', function()
    local high = deeds.choices { id = '1', state = 'queued', priority = 230 }
    assert.are.equal('edit 1 --priority=255', runs(high)[2])
    local low = deeds.choices { id = '1', state = 'queued', priority = 20 }
    assert.are.equal('edit 1 --priority=0', runs(low)[3])
  end)

  it('answer a permission', function()
    local question = { request_id = 'r', tool = 'Bash', input = { command = 'ls' } }
    local choices = deeds.choices(task('waiting', question))
    assert.are.same({
      'answer 1 allow --request=r',
      'answer 1 deny --request=r',
      'answer 1 deny --request=r --message=WORDS',
      'attach 1',
      'cancel 1',
    }, runs(choices))
    assert.are.equal('allow  Bash: ls', choices[1].label)
  end)

  it('answer a question that offers answers', function()
    local drink = { question = 'Drink:\n%7?', options = { { label = 'Tea' }, { label = 'a=b' } } }
    local question = { request_id = 'r:1', tool = 'AskUserQuestion', input = { questions = { drink } } }
    local choices = deeds.choices(task('waiting', question))
    assert.are.same({
      'answer 1 allow --request=r:1 --choose=Drink:\n%7?=Tea',
      'answer 1 allow --request=r:1 --choose=Drink:\n%7?=a=b',
      'answer 1 allow --request=r:1 --choose=Drink:\n%7?=WORDS',
      'answer 1 deny --request=r:1',
      'answer 1 deny --request=r:1 --message=WORDS',
      'attach 1',
      'cancel 1',
    }, runs(choices))
    assert.are.equal('Task 1 asks: Drink: %7?', deeds.missing(deeds.of_id(choices[3].id)))
  end)

  it('leave several questions at once to the command line', function()
    local two = { { question = 'A?', options = {} }, { question = 'B?', options = {} } }
    local question = { request_id = 'r', tool = 'AskUserQuestion', input = { questions = two } }
    assert.are.equal('answer 1 deny --request=r', runs(deeds.choices(task('waiting', question)))[1])
  end)

  it('ask before a worker is ended', function()
    for _, state in ipairs { 'running', 'waiting', 'paused' } do
      assert.are.equal(true, deeds.has_started(task(state)))
    end
    assert.are.equal(false, deeds.has_started(task 'queued'))
    local sure = deeds.sure(task 'running')
    assert.are.equal('yes, stop it', sure[1].label)
    assert.are.equal('cancel 1', runs({ sure[1] })[1])
    assert.are.equal('no', sure[2].label)
    assert.is_nil(deeds.of_id(sure[2].id))
  end)

  it('say which task it was, and what was done', function()
    assert.are.equal('Cancelled task 7', done 'cancel')
    assert.are.equal('Cancelled task 7', done 'stop')
    assert.are.equal('Queued task 7 again', done 'retry')
    assert.are.equal('Task 7 has priority 150', done('priority', { words = '150' }))
    assert.are.equal('Answered task 7: allowed', done('allow', { request = 'r' }))
    assert.are.equal('Answered task 7: denied', done('deny', { request = 'r' }))
    assert.are.equal('Answered task 7: denied', done('deny_saying', { request = 'r' }))
    assert.are.equal('Answered task 7: A?=B', done('choose', { request = 'r', words = 'A?=B' }))
    assert.are.equal('Answered task 7: so', done('choose_saying', { request = 'r', words = 'A?' }))
  end)

  it('are none that somebody made up', function()
    for _, id in ipairs {
      '',
      'no',
      '1',
      'cancel',
      'cancel:1',
      'cancel:--all::',
      'cancel:%2d%2dall::',
      'cancel:::',
      'cancel:1:r:',
      'erase:1::',
      'allow:1::',
      'priority:1::',
      'priority:1::high',
      'priority:1:: 1',
      7,
      {},
    } do
      assert.is_nil(deeds.of_id(id))
    end
    assert.is_nil(deeds.of_id(nil))
  end)
end)
