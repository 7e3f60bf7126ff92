//! The real binary, run in a folder of its own, and what it prints. Shared by the test programs that
//! start processes.

pub mod http;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Longest wait for anything. Only what hangs takes as long. Shorter than the 30 s after which the
/// server gives up on connections that do not end.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// A working directory with a configuration, and by default the data directory inside it.
pub struct Workplace {
    folder: TempDir,
}

/// What a command that ended by itself has left.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The binary that `PROVIDERPOOL_BIN` names, if it names one.
pub fn released() -> Option<PathBuf> {
    let named = std::env::var_os("PROVIDERPOOL_BIN")?;
    Some(fs::canonicalize(named).expect("PROVIDERPOOL_BIN names a binary"))
}

/// The binary under test: the released one, else the one that was built beside the tests.
pub fn binary() -> PathBuf {
    released().unwrap_or_else(|| env!("CARGO_BIN_EXE_providerpool").into())
}

impl Workplace {
    /// `config` is the text of its `providerpool.toml`.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("providerpool.toml"), config).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary with these arguments, and nothing of our own environment that it would heed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(Command::new(binary()), arguments)
    }

    /// A command that leads to the binary, with these arguments more, as [`Self::command`].
    pub fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TMPDIR", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code();
        Finished { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Makes a key and gives it as a caller presents it.
    pub fn create_key(&self, role: &str) -> String {
        let made = self.run(&["keys", "create", "--role", role]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    }

    /// Starts a pool on a free port and waits until it listens.
    pub fn serve(&self) -> Process {
        self.start(&["serve", "--bind", "127.0.0.1:0"])
    }

    /// Starts a command that prints the address it listens on.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.listening(self.command(arguments))
    }

    /// The same of a command that was [`Self::prepared`].
    pub fn listening(&self, command: Command) -> Process {
        let mut process = Process::start(command, self.folder.path());
        let line = process.line_with("http://");
        let address = line.split("http://").nth(1).unwrap();
        let end = address.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
        process.address = address[..end.unwrap_or(address.len())].parse().unwrap();
        process
    }
}

/// A running command. Killed when dropped.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    lines: Receiver<String>,
    /// Everything it has printed so far that was looked at.
    printed: String,
    errors: PathBuf,
}

impl Process {
    fn start(mut command: Command, folder: &Path) -> Self {
        let errors = folder.join("stderr.log");
        // Into a file: nobody has to read it, and it is there when something went wrong.
        command.stderr(File::create(&errors).unwrap()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, child, lines, printed: String::new(), errors }
    }

    /// Reads what it prints up to a line with `text` in it, and gives that line.
    pub fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in\n{}", self.said()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended\n{}", self.said()),
            };
            self.printed.push_str(&line);
            self.printed.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// What it has printed, up to the last line looked for.
    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// What it has printed and logged.
    pub fn said(&self) -> String {
        let mut logged = String::new();
        File::open(&self.errors).unwrap().read_to_string(&mut logged).unwrap();
        format!("{}{logged}", self.printed)
    }

    /// Its number, by which the system tells what it takes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and nothing of it is left afterwards.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let order = format!("kill -TERM {}", self.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
    }

    /// Waits until it has ended by itself, which closes its output.
    pub fn ended(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.printed += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end\n{}", self.said()),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
