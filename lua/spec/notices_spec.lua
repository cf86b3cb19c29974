--- What is told once, when it changes.

local notices = require 'wezterm_parallel.notices'

local function snapshot(given)
  return {
    queued = given.queued or 0,
    running = given.running or 0,
    attention = given.attention or 0,
    waiting = given.waiting or 0,
    failed = given.failed or 0,
    failed_processes = given.failed_processes or 0,
  }
end

local function words(before, after)
  local told = {}
  for index, notice in ipairs(notices.between(snapshot(before), snapshot(after))) do
    told[index] = notice.kind .. ': ' .. notice.words
  end
  return told
end

describe('notices', function()
  it('are silent where nothing is new', function()
    assert.are.same({}, words({ attention = 2, failed = 3 }, { attention = 2, failed = 3 }))
    assert.are.same(
      {},
      words({ attention = 2, failed = 3, running = 1 }, { attention = 1, failed = 1, running = 1 })
    )
    assert.are.same({}, words({}, {}))
  end)

  it('tell of questions, failures and the end', function()
    assert.are.same({ 'attention: A task needs an answer' }, words({ running = 1 }, { attention = 1 }))
    assert.are.same({ 'attention: 3 tasks need an answer' }, words({ attention = 1 }, { attention = 3 }))
    assert.are.same(
      { 'failure: 2 tasks failed', 'empty: The queue is empty' },
      words({ running = 2, failed = 5 }, { failed = 7 })
    )
    assert.are.same({ 'failure: A process failed' }, words({}, { failed_processes = 1 }))
    assert.are.same(
      { 'failure: 2 processes failed' },
      words({ failed_processes = 1 }, { failed_processes = 3 })
    )
    assert.are.same({}, words({ failed_processes = 3 }, { failed_processes = 1 }))
    assert.are.same({}, words({ running = 1 }, { queued = 1 }))
  end)

  it('know that a queue is not empty whose tasks go on later', function()
    assert.are.same({}, words({ running = 1 }, { waiting = 1 }))
    assert.are.same({ 'empty: The queue is empty' }, words({ waiting = 1 }, {}))
  end)
end)
