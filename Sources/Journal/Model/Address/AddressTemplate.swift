/// An address with Nova's placeholders, such as `{username}`, whose values come from a base address.
///
/// Keeping secrets in the base keeps them out of the journal. Unlike Nova's `str.format`, a piece
/// that the base lacks is an error instead of the text `None`, and a placeholder is a name and
/// nothing more. docs/addresses.md has the rules.
public struct AddressTemplate: Hashable, Sendable {
  public let field: AddressField
  /// The text with literal secrets masked and every placeholder kept.
  public let publicForm: ByteText
  /// The text this was read from, byte for byte.
  public let original: Secret
  private let text: TemplateText
  private let place: (text: String, isLiteral: Bool)

  /// Whether an address is to be read as a template: whether it has a brace.
  public static func isTemplate(_ text: Secret) -> Bool {
    SecretBytes(of: text).contains { $0 == .openBrace || $0 == .closeBrace }
  }

  /// Reads a template.
  ///
  /// - Throws: an `AddressError` that names the piece and never holds a part of a password.
  public init(parsing original: Secret, of field: AddressField) throws(AddressError) {
    text = try TemplateText(try AddressText.whole(original, field), field)
    let mask = try TemplateMask(text, field)
    publicForm = try mask.publicForm()
    place = mask.place
    self.field = field
    self.original = original
  }

  /// Whether it asks its base for anything.
  public var needsBase: Bool { !text.placeholders.isEmpty }

  /// The exact text this was read from.
  public var printed: Secret { original }

  /// What makes two templates over one base the same place. Where no placeholder is in scheme, hosts
  /// and path, it is the location of the address that the template becomes; else it is the text of
  /// those pieces.
  public func normalisedLocation(baseDirectory: ByteText) -> ByteText {
    let text = ByteText(place.text)
    guard place.isLiteral else { return text }
    switch field {
    case .database:
      let address = try? DatabaseAddress(parsing: Secret(place.text))
      return address?.normalisedLocation(baseDirectory: baseDirectory) ?? text
    case .queue: return (try? QueueAddress(parsing: Secret(place.text)))?.normalisedLocation ?? text
    }
  }

  /// The address with every placeholder replaced by a piece of `base`, as it is written there
  /// (still percent-encoded); it isn't parsed yet.
  ///
  /// - Throws: `placeholderWithoutValue`, `placeholderAmbiguous`, `baseInvalid`.
  public func expand(base: Secret) throws(AddressError) -> Secret {
    let base = try TemplateBase(base, field)
    if base.hosts.count > 1 { try checkUnnumbered(base) }
    var expanded = WipedBytes(capacity: original.count * 2)
    try append(text, base, &expanded)
    return expanded.secret()
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.field == right.field && left.original == right.original
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(field)
    hasher.combine(original)
  }

  private func append(
    _ part: TemplateText, _ base: TemplateBase, _ expanded: inout WipedBytes
  ) throws(AddressError) {
    for symbol in part.symbols {
      switch symbol {
      case .literal(let byte): expanded.append(byte)
      case .placeholder(let placeholder, _):
        expanded.append(contentsOf: try base.value(of: placeholder))
      }
    }
  }

  /// With several hosts Nova's un-numbered names are pieces of the whole list; they make sense only
  /// where together they give that list again.
  private func checkUnnumbered(_ base: TemplateBase) throws(AddressError) {
    let places = text.indices.filter { index in
      guard let placeholder = text[index...index].onlyPlaceholder else { return false }
      return placeholder.name.isNumbered && placeholder.number == nil
    }
    guard let first = places.first, var last = places.last else { return }
    if last + 1 < text.endIndex, text[last + 1] == .closeBracket { last += 1 }
    let isFramed =
      first > text.startIndex && text[first - 1] == .slash
      && (last + 1 == text.endIndex || [.slash, .question, .hash].contains(text[last + 1]))
    var run = WipedBytes(capacity: original.count)
    let isRendered = (try? append(text[first...last], base, &run)) != nil
    let rendered = run.secret()
    let isWhole =
      isFramed && isRendered && SecretBytes(of: rendered).elementsEqual(base.netloc)
    guard isWhole else {
      throw .placeholderAmbiguous(field, name: text[first...first].onlyPlaceholder?.text ?? "")
    }
  }
}

extension AddressField {
  /// The public form of an address or template.
  public func publicForm(of text: Secret) throws(AddressError) -> ByteText {
    if AddressTemplate.isTemplate(text) {
      return try AddressTemplate(parsing: text, of: self).publicForm
    }
    switch self {
    case .database: return try DatabaseAddress(parsing: text).publicForm
    case .queue: return try QueueAddress(parsing: text).publicForm
    }
  }

  /// What makes two addresses or templates the same place; it may be asked of public forms too.
  public func normalisedLocation(
    of text: Secret, baseDirectory: ByteText
  ) throws(AddressError) -> ByteText {
    if AddressTemplate.isTemplate(text) {
      let template = try AddressTemplate(parsing: text, of: self)
      return template.normalisedLocation(baseDirectory: baseDirectory)
    }
    switch self {
    case .database:
      return try DatabaseAddress(parsing: text).normalisedLocation(baseDirectory: baseDirectory)
    case .queue: return try QueueAddress(parsing: text).normalisedLocation
    }
  }

  /// The address itself: a template is expanded from `base`, anything else stays as it is.
  ///
  /// - Throws: `baseMissing` for a template that needs a base where there is none.
  public func resolved(_ text: Secret, base: Secret?) throws(AddressError) -> Secret {
    guard AddressTemplate.isTemplate(text) else { return text }
    let template = try AddressTemplate(parsing: text, of: self)
    guard template.needsBase else { return try template.expand(base: Secret(example)) }
    guard let base else { throw .baseMissing(self) }
    return try template.expand(base: base)
  }
}
