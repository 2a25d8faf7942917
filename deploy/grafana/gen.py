"""Writes stargate.json, the dashboard, from the panels below: python3 gen.py."""
import json
import pathlib

rate = "$__rate_interval"
rows = [
    ("Progress", [
        ("Stages", "percentunit", [("max by (stage) (stargate_stage_done / (stargate_stage_size > 0))", "{{stage}}")]),
        ("Pairs per minute", "short", [(f"60 * sum(rate(stargate_pairs_total[{rate}]))", "pairs")]),
        ("Time of a pair", "s", [(f"histogram_quantile({q}, sum by (le) (rate(stargate_pair_duration_seconds_bucket[{rate}])))", f"{int(q * 100)} %") for q in (0.5, 0.95)]),
        ("Cost", "short", [("max by (run) (stargate_cost)", "{{run}}")]),
    ]),
    ("Calls", [
        ("Calls per second", "reqps", [(f"sum by (role, result) (rate(stargate_calls_total[{rate}]))", "{{role}} {{result}}")]),
        ("Calls under way", "short", [("sum by (role) (stargate_calls_running)", "{{role}}")]),
        ("Time of calls, 95 %", "s", [(f"histogram_quantile(0.95, sum by (le, role) (rate(stargate_call_duration_seconds_bucket[{rate}])))", "{{role}}")]),
        ("Tokens per second", "short", [(f"sum by (role, tokens) (rate(stargate_call_tokens_total[{rate}]))", "{{role}} {{tokens}}")]),
    ]),
    ("Servers", [
        ("Attempts per second", "reqps", [(f"sum by (role, outcome) (rate(stargate_fleet_attempts_total[{rate}]))", "{{role}} {{outcome}}")]),
        ("Retries and hedges per second", "reqps", [(f"sum by (role) (rate(stargate_fleet_retries_total[{rate}]))", "{{role}} retries"), (f"sum by (role) (rate(stargate_fleet_hedges_total[{rate}]))", "{{role}} hedges")]),
        ("Waiting and in flight", "short", [("sum by (role) (stargate_fleet_waiting)", "{{role}} waiting"), ("sum by (role) (stargate_fleet_in_flight)", "{{role}} in flight"), ("sum by (role) (stargate_fleet_endpoints_down)", "{{role}} servers down")]),
        ("Mean wait for a place", "s", [(f"sum by (role) (rate(stargate_fleet_wait_seconds_total[{rate}])) / sum by (role) (rate(stargate_fleet_calls_total[{rate}]))", "{{role}}")]),
    ]),
    ("Conversations and training", [
        ("Conversations per minute", "short", [(f"60 * sum by (outcome) (rate(stargate_conversations_total[{rate}]))", "{{outcome}}")]),
        ("Turns drawn again per minute", "short", [(f"60 * sum by (flaw) (rate(stargate_redrawn_turns_total[{rate}]))", "{{flaw}}")]),
        ("Mean log-probability of gold responses (nats a token)", "short", [(f"- sum by (role) (rate(stargate_score_nats_total[{rate}])) / sum by (role) (rate(stargate_score_tokens_total[{rate}]))", "{{role}}")]),
        ("Training loss", "short", [("stargate_train_loss", "{{model}}")]),
        ("Training steps", "percentunit", [("stargate_train_step / (stargate_train_steps > 0)", "{{model}}")]),
        ("Gradient norm and learning rate", "short", [("stargate_train_gradient_norm", "{{model}} norm"), ("stargate_train_learning_rate", "{{model}} rate")]),
    ]),
    ("stargate serve", [
        ("Requests per second", "reqps", [(f"sum by (route, code) (rate(stargate_http_requests_total[{rate}]))", "{{route}} {{code}}")]),
        ("First token, 95 %", "s", [(f"histogram_quantile(0.95, sum by (le) (rate(stargate_first_token_seconds_bucket[{rate}])))", "95 %")]),
        ("Engine", "short", [("stargate_engine_running", "running"), ("stargate_engine_queued", "queued"), ("stargate_places_taken", "places taken")]),
        ("Tokens per second", "short", [(f"rate(stargate_engine_computed_tokens_total[{rate}])", "computed"), (f"rate(stargate_engine_reused_tokens_total[{rate}])", "from the prefix cache")]),
    ]),
]

panels, y, number = [], 0, 0
for title, of in rows:
    number += 1
    panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "panels": []})
    y += 1
    for i, (name, unit, queries) in enumerate(of):
        number += 1
        panels.append({
            "id": number, "type": "timeseries", "title": name, "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"h": 7, "w": 6, "x": 6 * (i % 4), "y": y + 7 * (i // 4)},
            "fieldConfig": {"defaults": {"unit": unit, "min": None if "log-prob" in name else 0}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}},
            "targets": [{"refId": chr(65 + k), "expr": e, "legendFormat": legend, "datasource": {"type": "prometheus", "uid": "${datasource}"}} for k, (e, legend) in enumerate(queries)],
        })
    y += 7 * ((len(of) + 3) // 4)
dashboard = {
    "title": "Stargate", "uid": "stargate", "tags": ["stargate"], "schemaVersion": 39, "version": 1, "editable": True, "refresh": "10s", "timezone": "",
    "time": {"from": "now-3h", "to": "now"}, "annotations": {"list": []},
    "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0, "refresh": 1}]},
    "panels": panels,
}
pathlib.Path(__file__).with_name("stargate.json").write_text(json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n")
