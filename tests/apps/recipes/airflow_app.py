"""A DAG of Airflow with an operator that starts a workflow once, and a trigger that waits for its end."""

from collections.abc import AsyncIterator

from airflow.sdk import DAG, BaseOperator, Context, task
from airflow.triggers.base import BaseTrigger, TriggerEvent

from workflow_async import OpencastClient, batch
from workflow_async.sync import SyncOpencastClient

shared = OpencastClient.from_env()  # by all triggers of a process: its connections and its poll task


class Ended(BaseTrigger):
    def __init__(self, id: int) -> None:
        super().__init__()
        self.id = id

    def serialize(self) -> tuple[str, dict[str, int]]:
        return "airflow_app.Ended", {"id": self.id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with shared as oc:
            yield TriggerEvent((await oc.workflows.wait(self.id, check=True)).phase.value)


class Start(BaseOperator):
    def execute(self, context: Context) -> None:
        ticket = batch.Ticket.from_json(context["ti"].xcom_pull(task_ids="prepare"))
        with SyncOpencastClient.from_env() as oc:
            if context["ti"].try_number == 1:
                self.defer(trigger=Ended(oc.workflows.start(ticket).id), method_name="end")
            found = oc.workflows.reconcile(ticket)
        if isinstance(found, batch.StartFound):
            self.defer(trigger=Ended(found.workflow.id), method_name="end")
        raise LookupError(f"the start may have been sent, so look for its workflow: {found}")

    def end(self, context: Context, event: str) -> str:
        return event


@task
def prepare(params: dict[str, str]) -> str:
    with SyncOpencastClient.from_env() as oc:
        newest = max((workflow.id for workflow in oc.workflows.for_event(params["event"])), default=0)
        return oc.workflows.prepare_start(params["event"], params["definition"], baseline=newest).to_json()


with DAG("publish", schedule=None, params={"event": "", "definition": "publish"}):
    prepare() >> Start(task_id="start", retries=3)
