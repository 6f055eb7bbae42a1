import os

from dragoman.noukai import Noukai

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

with Noukai("nk_demo", base_url=f"{URL}/api/v1", org="demo", project="basics") as client:
    flow = client.flow("slow")
    job = flow.execute_async("read me later")

    again = flow.job(job.execution_id)  # in another process, or tomorrow
    status = again.wait(timeout=60.0, poll_interval=0.2)
    print(status.status, status.result)

    job = flow.execute_async("never mind")
    job.cancel()
    print(job.wait(timeout=60.0, poll_interval=0.2).error)
