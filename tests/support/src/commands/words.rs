//! Calls and answers as lines of numbers, for members in other processes.

use super::{Answer, Call, No, View, What};

const CALLS: [What; 15] = [
    What::Send,
    What::SendBatch,
    What::Loan,
    What::Commit,
    What::Abandon,
    What::Flush,
    What::Receive,
    What::ReceiveInto,
    What::ReceiveBoxed,
    What::ReceiveBatch,
    What::Lend,
    What::Acknowledge,
    What::Return,
    What::Look,
    What::Deaths,
];
const NOS: [No; 4] = [No::Nothing, No::Behind, No::Disconnected, No::NoSeat];

fn line(words: &[u64]) -> String {
    words.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

fn words(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().expect("a number")).collect()
}

/// Encodes `None` as 0.
fn option(value: Option<u64>) -> u64 {
    value.map_or(0, |value| value + 1)
}

fn no(no: No) -> u64 {
    NOS.iter().position(|other| *other == no).expect("one of them") as u64
}

impl Call {
    pub(super) fn to_line(self, number: u64) -> String {
        let what = CALLS.iter().position(|what| *what == self.what).expect("one of them") as u64;
        line(&[what, self.n.into(), self.timed.into(), number])
    }

    pub(super) fn from_line(line: &str) -> (Call, u64) {
        let [what, n, timed, number] = words(line)[..] else { panic!("not a call: {line}") };
        (Call { what: CALLS[what as usize], n: n as u8, timed: timed != 0 }, number)
    }
}

impl Answer {
    pub(super) fn to_line(&self) -> String {
        let mut words = Vec::new();
        match self {
            Answer::Done => words.push(0),
            Answer::Lent(position) => words.extend([1, option(*position)]),
            Answer::Sent(sent, error) => words.extend([2, *sent, option(error.map(no))]),
            Answer::Message { number, position, deliveries } => {
                words.extend([3, *number, option(*position), option(deliveries.map(u64::from))]);
            }
            Answer::Messages(numbers) => {
                words.push(4);
                words.extend(numbers);
            }
            Answer::View(view) => {
                words.extend([5, view.len]);
                words.extend(view.counts.expect("a header"));
                words.extend(&view.seats);
            }
            Answer::Deaths(seats) => {
                words.push(6);
                words.extend(seats);
            }
            Answer::No(error) => words.extend([7, no(*error)]),
        }
        line(&words)
    }

    pub(super) fn from_line(line: &str) -> Answer {
        let value = |word: u64| word.checked_sub(1);
        match words(line)[..] {
            [0] => Answer::Done,
            [1, position] => Answer::Lent(value(position)),
            [2, sent, error] => Answer::Sent(sent, value(error).map(|n| NOS[n as usize])),
            [3, number, position, deliveries] => Answer::Message {
                number,
                position: value(position),
                deliveries: value(deliveries).map(|n| n as u8),
            },
            [4, ref numbers @ ..] => Answer::Messages(numbers.to_vec()),
            [5, len, a, b, c, d, e, f, ref seats @ ..] => {
                let counts = Some([a, b, c, d, e, f]);
                Answer::View(View { len, counts, seats: seats.to_vec() })
            }
            [6, ref seats @ ..] => Answer::Deaths(seats.to_vec()),
            [7, no] => Answer::No(NOS[no as usize]),
            _ => panic!("not an answer: {line}"),
        }
    }
}
