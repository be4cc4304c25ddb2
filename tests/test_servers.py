"""The servers that other tests use: they answer, are empty, and come back after a kill."""

import pytest
import redis
from servers import RedisServer, found
from sqlalchemy import create_engine, text


@pytest.mark.parametrize("address", ["postgres_url", "mariadb_url"])
@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_an_empty_database(
    address: str, time: str, request: pytest.FixtureRequest
) -> None:
    engine = create_engine(request.getfixturevalue(address))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ones (n INTEGER)"))
        connection.execute(text("INSERT INTO ones VALUES (1)"))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM ones")).scalar() == 1
    engine.dispose()


def test_a_redis_that_was_killed_comes_back_empty_under_its_address() -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("key")
        server.start()
        assert client.get("key") is None
    assert not server.folder.exists()
    assert server.process.poll() is not None


def test_a_missing_program_skips_with_a_sentence() -> None:
    with pytest.raises(pytest.skip.Exception, match="needs the program nosuchserver"):
        found("nosuchserver")
