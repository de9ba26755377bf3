#!/bin/sh
uptime=$(($(date +%s) - $(cat /tmp/started)))
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
cat <<HTML
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hello from Slipway</title>
<style>
body { font: 18px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh;
       display: grid; place-items: center; background: #f4f7f9; color: #123 }
main { background: #fff; padding: 2em 3em; border-radius: 12px;
       box-shadow: 0 2px 16px #0002 }
dt { color: #678 } dd { margin: 0 0 .6em; font-family: ui-monospace, monospace }
</style>
<main>
<h1>Hello from Slipway</h1>
<dl>
<dt>App</dt><dd>${SLIPWAY_APP:-?}</dd>
<dt>Release</dt><dd>${SLIPWAY_RELEASE:-?}</dd>
<dt>Commit</dt><dd>${SLIPWAY_COMMIT:-?}</dd>
<dt>Up for</dt><dd>${uptime} s</dd>
</dl>
</main>
</html>
HTML
