"""The practice ERP as a whole: a data set rendered into a folder, and a server before it."""

from datetime import date, timedelta
from pathlib import Path

from sandbox.dataset import Dataset
from sandbox.faults import Faults
from sandbox.orders import OrderBook
from sandbox.sftp.folder import write_folder
from sandbox.sftp.intake import CANCELS, INBOX, Intake
from sandbox.sftp.server import Account, SftpServer, new_key, read_key


class SftpErp:
    """One ERP's slice of a data set, served from `folder` over SFTP on loopback.

    Assigning `dataset` is the next night: its exports appear with the next day in their names.
    `host_key` and `private_key` (with which the user may sign in instead of the password) are
    OpenSSH texts; without them new ones are made and stand in `host_key_text` and
    `private_key_text`, so that a restarted ERP can keep its keys.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        user: str,
        password: str,
        folder: Path,
        port: int = 0,
        host_key: str | None = None,
        private_key: str | None = None,
        orders: Path | None = None,
    ) -> None:
        self.faults = Faults()
        self.folder = folder
        self.day: date = dataset.as_of
        self.host_key_text = host_key or new_key()
        self.private_key_text = private_key or new_key()
        account = Account(
            user, password, folder, self.faults, [read_key(self.private_key_text)],
            writable=(INBOX, CANCELS),
        )  # fmt: skip
        self._server = SftpServer(account, read_key(self.host_key_text), port)
        folder.mkdir(parents=True, exist_ok=True)
        self._dataset = dataset
        self.book = OrderBook(dataset, orders)
        self.intake = Intake(folder, self.book)
        write_folder(dataset, folder, self.day)

    def start(self) -> None:
        """Begin to listen on 127.0.0.1, and to look into the inbox."""
        self._server.start()
        self.intake.start()

    def stop(self) -> None:
        """Close every connection; the folder stays."""
        self.intake.stop()
        self._server.stop()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"sftp://127.0.0.1:{self._server.port}"

    @property
    def sign_ins(self) -> int:
        """How often someone tried to sign in, let in or not."""
        return self._server.account.sign_ins

    @property
    def dataset(self) -> Dataset:
        """What is served."""
        return self._dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        self.day = max(dataset.as_of, self.day + timedelta(days=1))
        self._dataset = dataset
        self.book.dataset = dataset
        write_folder(dataset, self.folder, self.day)

    @property
    def host_key_line(self) -> str:
        """The host key as a client pins it: type and base64."""
        key = self._server.host_key
        return f"{key.get_name()} {key.get_base64()}"

    def connection(self) -> dict[str, object]:
        """Host, port, login, password and extra, as connections.json holds them."""
        account = self._server.account
        return {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": self._server.port,
            "login": account.user,
            "password": account.password,
            "extra": {"host_key": self.host_key_line},
        }
