--- What `wezterm.plugin.require` loads: it finds this repository's own modules and hands `wezterm` to them.
---
---   local url = 'https://github.com/wezterm-parallel/wezterm-parallel'
---   local ok, parallel = pcall(wezterm.plugin.require, url)
---   if ok then parallel.apply_to_config(config, {}) end
---
--- docs/wezterm.md has every option.

-- Lua hands the path of a required file to the file.
local _, file = ...
local root = type(file) == 'string' and file:match '^(.*)[/\\]plugin[/\\]init%.lua$'
if not root then
  error 'wezterm-parallel: plugin/init.lua must be loaded by wezterm.plugin.require, or by require'
end

-- Behind everything else: a module of the user's own comes first.
local here = root .. '/lua/?.lua'
if not (';' .. package.path .. ';'):find(';' .. here .. ';', 1, true) then
  package.path = package.path .. ';' .. here
end

return require('wezterm_parallel.plugin').new(require 'wezterm')
