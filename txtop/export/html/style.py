"""How the page looks, light and dark. The colours are those of the screen's themes."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--bg:#f4f2ec;--panel:#fbfaf6;--grid:#dcd8cd;--text:#23272e;
--muted:#686f78;--a:#0b61b8;--b:#a64b00;--c:#23272e;--d:#686f78;--ok:#1d7a3c;--bad:#c3212b;
--plot:#5a8cbd}
@media (prefers-color-scheme:dark){:root{--bg:#0e1116;--panel:#12161c;--grid:#2b333e;
--text:#d6dde6;--muted:#8290a0;--a:#6cb6ff;--b:#f5a65b;--c:#d6dde6;--d:#8290a0;--ok:#7fce92;
--bad:#ff7b81;--plot:#44759f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 40px}
h1{font-size:26px;margin:0 0 2px;overflow-wrap:anywhere}
h2{font-size:15px;margin:34px 0 10px}
p{margin:6px 0}
.muted,footer{color:var(--muted)}
.bad{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:12px;
margin-top:18px}
.card,figure,.scroll{background:var(--panel);border:1px solid var(--grid);border-radius:8px}
.card{padding:12px 14px;overflow-wrap:anywhere}
.name{font-size:13px}
.figure{font-size:32px;font-weight:650;line-height:1.25;color:var(--a);
font-variant-numeric:tabular-nums}
.figure.muted{color:var(--muted)}.figure.bad{color:var(--bad);font-size:22px}
.figure small{font-size:14px;font-weight:400;color:var(--muted)}
.card .said{font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:6px 10px;text-align:left;white-space:nowrap}
th{color:var(--muted);font-weight:500;border-bottom:1px solid var(--grid)}
.r{text-align:right}
figure{margin:0;padding:10px 12px}
svg{display:block;width:100%;height:auto}
.half{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr));gap:12px}
.third{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(320px,100%),1fr));gap:12px}
ul{margin:0;padding-left:20px}li{overflow-wrap:anywhere}
.claim{font-size:20px;font-weight:650}
pre{margin:0;padding:10px 12px;font-size:12.5px}
footer{margin-top:40px;font-size:13px}
@media print{body{background:#fff}}
"""
