"""Owner and server apart, on bytes, paths and file-like objects."""

import copy
import io
import pickle
import stat

import numpy as np
import pytest
from conftest import table

import ciphertune
from ciphertune import InputError, Job, Keys, Owner, Plan, Recipe, Record, Server
from ciphertune.estimator import EncryptedLogisticRegression


@pytest.fixture(scope="module")
def keys():
    return Keys(Plan(90, 6, 3))


@pytest.fixture(scope="module")
def evaluation(keys):
    return keys.evaluation_keys()


@pytest.fixture(scope="module")
def encrypted(keys, data):
    return Owner(keys).encrypt(*data)


def close(head, fitted):
    np.testing.assert_allclose(head.weight, fitted.coef_, atol=1e-6 * np.abs(fitted.coef_).max())


def test_a_head_from_roles_apart_is_the_estimators(keys, evaluation, encrypted, fitted):
    job, record = encrypted
    head = Owner(keys).decrypt(Server(evaluation).train(job), record)
    close(head, fitted)
    assert head.classes == record.classes == ["0", "1", "2"]


def test_every_document_may_be_a_path_or_a_file(keys, data, fitted, tmp_path):
    owner = Owner(keys)
    assert keys.evaluation_keys(tmp_path / "evaluation.keys") is None
    nothing, record = owner.encrypt(*data, str(tmp_path / "job"))
    assert nothing is None
    server = Server(tmp_path / "evaluation.keys")
    with open(tmp_path / "model", "wb") as file:
        assert server.train(tmp_path / "job", file) is None
    with open(tmp_path / "model", "rb") as file:
        close(owner.decrypt(file, record), fitted)
    # And the other way round.
    model, job = io.BytesIO(), io.BytesIO()
    _, record = owner.encrypt(*data, job)
    Server(io.BytesIO((tmp_path / "evaluation.keys").read_bytes())).train(io.BytesIO(job.getvalue()), model)
    close(owner.decrypt(bytearray(model.getvalue()), Record.from_bytes(io.BytesIO(record.to_bytes()))), fitted)


def test_a_server_trains_several_jobs_and_knows_their_plans(keys, evaluation, data):
    owner, server = Owner(keys), Server(io.BytesIO(evaluation), memory=4 << 30)
    for _ in range(2):
        job, record = owner.encrypt(*data)
        assert Job(job).plan == keys.plan
        assert owner.decrypt(server.train(Job(job)), record).features == 6


def test_parts_that_servers_train_apart_are_merged_into_the_model_of_one(tmp_path):
    # So many rows that every class has a ciphertext of its own.
    keys, (X, y) = Keys(Plan(2000, 20, 3)), table(2000, 20, 3)
    job, record = Owner(keys).encrypt(X, y)
    evaluation = keys.evaluation_keys()
    whole, parts = Server(evaluation).train(job), [Server(evaluation).train(job, part=(i, 3)) for i in (1, 2, 3)]
    assert ciphertune.merge(parts[::-1]) == whole
    paths = [tmp_path / f"part-{i}.enc" for i in range(3)]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    assert ciphertune.merge([str(paths[0]), io.BytesIO(parts[1]), paths[2]], tmp_path / "model.enc") is None
    assert (tmp_path / "model.enc").read_bytes() == whole
    assert Owner(keys).decrypt((tmp_path / "model.enc"), record).features == 20
    for wrong, message in [(parts[:2], "missing: 3/3"), ([whole], "the model is whole"), ([], "nothing to merge")]:
        with pytest.raises(InputError, match=message):
            ciphertune.merge(wrong)
    with pytest.raises(InputError, match="part 2 of the list"):
        ciphertune.merge([parts[0], b"no model", parts[2]])
    with pytest.raises(InputError, match="ciphertune merge"):
        Owner(keys).decrypt(parts[0], record)
    for part, message in [((0, 3), "counted from 1/3"), ((1, 4), "take at most 3"), ((-1, -1), "no part")]:
        with pytest.raises(InputError, match=message):
            Server(evaluation).train(job, part=part)
    with pytest.raises(InputError, match="last iterate only"):
        Server(evaluation).train(job, part=(1, 3), iterates=True)
    with pytest.raises(TypeError):
        Server(evaluation).train(job, part="1/3")


def test_every_iterate_is_returned_if_asked_for(keys, evaluation, encrypted, fitted):
    job, record = encrypted
    heads = Owner(keys).decrypt_iterates(Server(evaluation).train(job, iterates=True), record)
    assert [iteration for iteration, _ in heads] == [1, 2]
    close(heads[-1][1], fitted)
    assert not np.allclose(heads[0][1].weight, heads[1][1].weight)


def test_a_folder_of_keys_keeps_records(data, fitted, tmp_path):
    keys = Keys(Plan(90, 6, 3))
    assert keys.folder is None
    keys.save(tmp_path / "KEYS")
    assert keys.folder == tmp_path / "KEYS" and stat.S_IMODE((tmp_path / "KEYS").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "KEYS/secret.key").stat().st_mode) == 0o600
    loaded = Keys.load(str(tmp_path / "KEYS"))
    assert loaded.id == keys.id and loaded.plan == keys.plan
    job, record = Owner(loaded).encrypt(*data)
    assert (tmp_path / "KEYS/jobs" / record.job / "record.safetensors").is_file()
    model = Server(tmp_path / "KEYS/evaluation.keys").train(job)
    close(Owner(keys).decrypt(model), fitted)
    with pytest.raises(InputError, match="--force.*the old secret key"):
        keys.save(tmp_path / "KEYS")
    with pytest.raises(InputError, match="there is no such folder of keys"):
        Keys.load(tmp_path / "nothing")


def test_a_head_is_published_with_noise_checked_and_counted(data, fitted, tmp_path):
    keys = Keys(Plan(90, 6, 3))
    owner = Owner(keys)
    job, record = owner.encrypt(*data)
    model = Server(keys.evaluation_keys()).train(job)
    with pytest.raises(InputError, match="have a folder, which counts"):
        owner.publish(model, record)
    keys.save(tmp_path / "KEYS")
    with pytest.raises(InputError, match="leave one out"):
        owner.publish(model, record, check=data, unchecked=True)
    X, y = data
    with pytest.raises(InputError, match="Do not tell the server"):
        owner.publish(model, record, check=(X, (y + 1) % 3))
    with pytest.raises(InputError, match="releases=0 is not possible"):
        owner.publish(model, record, releases=0)
    # None of these were counted.
    assert not (tmp_path / "KEYS/releases.json").exists()
    head = owner.publish(model, record, releases=2)
    assert head.published_bits > 1 and (head.logits(X).argmax(axis=1) == y).mean() > 0.9
    assert 1e-4 < np.abs(head.weight - fitted.coef_).max() / np.abs(fitted.coef_).max() < 0.5
    assert owner.publish(model, record, releases=2, check=data).published_bits > 1
    with pytest.raises(InputError, match="are all that their noise covers"):
        owner.publish(model, record, releases=2, unchecked=True)


def test_secrets_are_neither_pickled_nor_copied(keys, encrypted):
    for secret in (keys, encrypted[1], Owner(keys)):
        for attempt in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                attempt(secret)
    again = Keys.from_secret_key(keys.plan, keys.secret_key())
    assert again.id == keys.id


def test_what_does_not_belong_together_is_refused(keys, evaluation, encrypted, data):
    job, record = encrypted
    others = Keys(keys.plan)
    with pytest.raises(InputError):
        Server(others.evaluation_keys()).train(job)
    model = Server(evaluation).train(job)
    with pytest.raises(InputError):
        Owner(others).decrypt(model, record)
    _, other = Owner(keys).encrypt(*data)
    with pytest.raises(InputError):
        Owner(keys).decrypt(model, other)
    with pytest.raises(InputError, match="the record of the model's job is missing"):
        Owner(keys).decrypt(model)
    with pytest.raises(InputError, match="the keys were planned for 90 rows x 6 features in 3 classes"):
        Owner(keys).encrypt(*table(rows=60))
    with pytest.raises(TypeError, match="expected Keys, found Plan"):
        Owner(keys.plan)


def test_damaged_documents_are_refused_by_name(keys, evaluation, encrypted, tmp_path):
    job, record = encrypted
    (tmp_path / "job").write_bytes(job[:-1])
    with pytest.raises(InputError, match=f"{tmp_path}/job: "):
        Job(tmp_path / "job")
    with pytest.raises(InputError, match="the job: "):
        Job(b"")
    broken = bytearray(evaluation)
    broken[len(broken) // 2] ^= 1
    with pytest.raises(InputError, match="the evaluation keys: "):
        Server(broken).train(job)
    with pytest.raises(InputError, match="there is no such file"):
        Server(tmp_path / "nothing").train(job)
    with pytest.raises(InputError, match="the record: "):
        Record.from_bytes(record.to_bytes()[1:])
    with pytest.raises(InputError, match="the secret key: "):
        Keys.from_secret_key(keys.plan, b"secret")
    with pytest.raises(InputError, match="the training needs at least"):
        Server(evaluation, memory=1 << 20).train(job)


def test_nothing_is_replaced_or_half_written_unless_asked_for(keys, data, tmp_path):
    (tmp_path / "job").write_bytes(b"mine")
    with pytest.raises(InputError, match="the file exists"):
        Owner(keys).encrypt(*data, tmp_path / "job")
    with pytest.raises(InputError, match="keys were planned for"):
        Owner(keys).encrypt(*table(rows=60), tmp_path / "other")

    def stop(step, done, of):
        if step == "encrypting":
            raise InterruptedError

    large = Owner(Keys(Plan(2000, 256, 3)))
    with pytest.raises(InterruptedError):
        large.encrypt(*table(2000, 256, 3), tmp_path / "job", force=True, progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"job"} and (tmp_path / "job").read_bytes() == b"mine"
    Owner(keys).encrypt(*data, tmp_path / "job", force=True)
    assert Job(tmp_path / "job").plan == keys.plan


def test_what_is_no_document_is_refused(keys, tmp_path):
    for wrong in (None, 3, ["job"], object()):
        with pytest.raises(TypeError, match="expected bytes, a path or a file"):
            Job(wrong)
    with pytest.raises(TypeError, match="binary mode"):
        Job(io.StringIO("job"))
    with pytest.raises(TypeError, match="expected a path, a file opened for writing or None"):
        keys.evaluation_keys(3)
    with pytest.raises(InputError):
        keys.evaluation_keys(tmp_path)


class Tensor:
    """As a tensor of PyTorch offers itself to NumPy."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype=dtype)


def test_tensors_and_frames_are_taken(keys, evaluation, data):
    X, y = data
    job, record = Owner(keys).encrypt(Tensor(X.astype(np.float32)), Tensor(np.array(["ash", "elm", "oak"])[y]))
    assert record.classes == ["ash", "elm", "oak"]
    head = Owner(keys).decrypt(Server(evaluation).train(job), record)
    assert (head.logits(X).argmax(axis=1) == y).mean() > 0.97
    torch = pytest.importorskip("torch")
    model = EncryptedLogisticRegression().fit(torch.tensor(X), torch.tensor(y))
    assert model.score(torch.tensor(X), y) > 0.97


def test_names_of_columns_go_with_the_record(evaluation, keys, data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    job, record = Owner(keys).encrypt(frame, y)
    head = Owner(keys).decrypt(Server(evaluation).train(job), record)
    assert head.feature_names == list("abcdef")
    with pytest.raises(InputError, match="another order"):
        head.logits(X, names=list("abcdfe"))


def test_plans_and_recipes_travel_as_text_and_pickles():
    plan = Plan(90, 6, 3, Recipe(3, ridge=0.05))
    for again in (Plan.from_json(plan.to_json()), pickle.loads(pickle.dumps(plan))):
        assert again == plan and again.recipe == Recipe(3, ridge=0.05) and again.memory_bytes == plan.memory_bytes
    assert eval(repr(plan.recipe), {"Recipe": Recipe}) == plan.recipe
    assert (plan.rows, plan.features, plan.classes, plan.security_bits) == (90, 6, 3, 128)
    assert 0 < plan.job_bytes and 0 < plan.key_bytes < plan.memory_bytes and plan.log_qp < 900
    for damaged in ("", "{}", plan.to_json().replace("90", "0")):
        with pytest.raises(InputError):
            ciphertune.Plan.from_json(damaged)
