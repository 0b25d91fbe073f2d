//! Options of a suite on the command line, which set its amount of work.

/// Takes options with a number off the command line, and returns their numbers. The rest is for the
/// selection of tests.
///
/// # Errors
/// Returns a description of an invalid argument.
pub fn take<const N: usize>(
    arguments: &mut Vec<String>,
    options: [&str; N],
) -> Result<[Option<u64>; N], String> {
    let mut numbers = [None; N];
    let mut given = std::mem::take(arguments).into_iter();
    while let Some(argument) = given.next() {
        match options.iter().position(|option| *option == argument) {
            Some(n) => {
                let text = given.next().ok_or(format!("{argument}: a number is missing"))?;
                let number = text.parse().map_err(|error| format!("{argument} {text}: {error}"))?;
                numbers[n] = Some(number);
            }
            None => arguments.push(argument),
        }
    }
    Ok(numbers)
}
