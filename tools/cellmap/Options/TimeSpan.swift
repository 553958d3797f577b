import ArgumentParser

/// A length of time as it is given on the command line: `90s`, `5m`, `1h`, `0s`.
struct TimeSpan: ExpressibleByArgument {
  let duration: Duration
  private let text: String

  init?(argument: String) {
    guard let unit = argument.last, let count = Int(argument.dropLast()), count >= 0,
      let seconds = ["s": 1, "m": 60, "h": 3600][String(unit)], count <= 86_400
    else { return nil }
    duration = .seconds(count * seconds)
    text = argument
  }

  var defaultValueDescription: String { text }
}
