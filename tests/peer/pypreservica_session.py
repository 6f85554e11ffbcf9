"""A session of pyPreservica in its own environment. It prints what it read as JSON."""

import datetime as dt
import json
import sys

import pyPreservica.workflowAPI  # type: ignore[import-not-found]  # It is only installed in the environment of this script.
from pyPreservica import MonitorAPI, ProcessAPI, WorkflowAPI

# Version 4.2.2 shadows the module `datetime` by the class, and then fails to read an instance.
pyPreservica.workflowAPI.datetime = dt

account = json.loads(sys.argv[1])
workflows, processes, monitors = WorkflowAPI(**account), ProcessAPI(**account), MonitorAPI(**account)

by_type = workflows.get_workflow_contexts_by_type("Ingest")
by_definition = workflows.get_workflow_contexts("org.example.slow")
(slow,) = by_definition
correlation = workflows.start_workflow_instance(slow, seedUrl="a&b<c>", maxDepth="8")
completed = list(workflows.workflow_instances("Completed", "Ingest", from_date="2020-01-01"))
(pending,) = workflows.workflow_instances("Pending", "Ingest", contextId=slow.workflow_id)
workflows.terminate_workflow_instance(pending.instance_id)
one = workflows.workflow_instance(completed[0].instance_id)
configs = processes.ingest_process(["S3", "OPEX"])
all_monitors = list(monitors.monitors())

result = {
    "by_type": {context.workflow_id: context.workflow_name for context in by_type},
    "by_definition": {context.workflow_id: context.workflow_name for context in by_definition},
    "correlation": correlation,
    "completed": [instance.instance_id for instance in completed],
    "one": [one.instance_id, one.state, one.started.isoformat(), one.workflow_definition_id],
    "terminated": pending.instance_id,
    "processes": {config.name: config.active for config in configs},
    "switched": [
        processes.deactivate_process(configs[0].process_id),
        processes.reactivate_process(configs[0].process_id),
    ],
    "monitors": [monitor["MonitorId"] for monitor in all_monitors],
    "messages": len(list(monitors.messages(all_monitors[0]["MonitorId"]))),
    "timeseries": len(monitors.timeseries(all_monitors[0]["MonitorId"])),
}
json.dump(result, sys.stdout)
