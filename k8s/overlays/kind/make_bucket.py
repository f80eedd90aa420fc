"""Makes the bucket recoilscan if it is not there, and shows that the store refuses to overwrite: results rely on it."""

import os
import sys
import time
import uuid

import obstore
from obstore.exceptions import AlreadyExistsError
from pyarrow.fs import S3FileSystem

BUCKET = "recoilscan"
PATIENCE_S = 120.0

files = S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True)
end = time.monotonic() + PATIENCE_S
while True:
    try:
        files.create_dir(BUCKET)
        break
    except OSError as error:
        if time.monotonic() > end:
            sys.exit(f"no bucket after {PATIENCE_S:g} s: {error}")
        print(f"waiting for the store: {error}", flush=True)
        time.sleep(2.0)

store = obstore.store.from_url(f"s3://{BUCKET}/probe", client_options={"allow_http": True})
name = uuid.uuid4().hex
obstore.put(store, name, b"first", mode="create")
try:
    obstore.put(store, name, b"second", mode="create")
except AlreadyExistsError:
    obstore.delete(store, name)
    print(f"bucket {BUCKET}: there, and it keeps what it has")
else:
    sys.exit("this store ignores If-None-Match: two tasks could overwrite each other's results")
