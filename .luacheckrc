-- The plugin runs under WezTerm's Lua 5.4 and has no globals of its own.
std = 'lua54'
max_line_length = 110
-- A method may be one for the sake of its callers.
self = false
include_files = { 'plugin', 'lua' }
-- What a spec may use: the subset of busted that lua/spec/support/runner.lua has too.
files['lua/spec'] = {
  read_globals = { 'describe', 'it', 'before_each', 'after_each' },
  -- luassert is a table that can be called.
  globals = { 'assert' },
}
-- This one is what gives the specs these names.
files['lua/spec/support/runner.lua'] = {
  globals = { 'assert', 'describe', 'it', 'before_each', 'after_each' },
}
