import Journal
import Testing

@Suite struct JSONValueTests {
  @Test(arguments: [
    "null", "true", "false", "0", "-0", "1.0", "1.50e+10", "-12E5",
    "123456789012345678901234567890",
    #""""#, #""é😀""#, "[]", "{}", #"[1,[2,{"a":null}]]"#, #"{"a":1,"b":[true,"\\\"\n\u0001"]}"#,
  ])
  func `prints what it has read`(text: String) throws {
    #expect(try JSONValue(parsing: text).line == text)
  }

  @Test func `prints an object's members by name, without spaces`() throws {
    #expect(
      try JSONValue(parsing: " { \"b\" : 1 ,\n\"a\" : [ 1 , 2 ] } ").line == #"{"a":[1,2],"b":1}"#)
  }

  @Test func `reads escapes`() throws {
    let value = try JSONValue(parsing: #""\u00e9\uD83D\uDE00\/\b\f\n\r\t\"\\""#)
    #expect(value == .text("é😀/\u{8}\u{C}\n\r\t\"\\"))
  }

  @Test func `another spelling of the same letters is another text`() throws {
    #expect(JSONValue.text("caf\u{E9}") != .text("cafe\u{301}"))
    let same = try JSONValue(parsing: #"["é",true,1,{"a":null}]"#)
    #expect(same == .list([.text("é"), .flag(true), .number(1), .object(["a": .null])]))
  }

  @Test(arguments: [
    "", " ", "nul", "tru", "01", "1.", ".5", "1e", "+1", "-", "NaN", "[1,]", "[1 2]", "{\"a\"}",
    "{\"a\":}", "{a:1}", "{\"a\":1,}", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
    "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1 1", "[", "{", "[1", "// x\n1",
  ])
  func `refuses what is no JSON`(text: String) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
  }

  @Test func `refuses two members of one name`() {
    #expect(throws: JSONError.memberRepeated(byte: 8)) { try JSONValue(parsing: #"{"a":1,"a":2}"#) }
  }

  @Test func `refuses bytes that aren't UTF-8`() {
    #expect(throws: JSONError.notUTF8) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
  }

  @Test func `refuses to go deeper than its limit, and goes that deep`() throws {
    let limit = JSONValue.maximumDepth
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(try JSONValue(parsing: nested(limit)).line == nested(limit))
    #expect(throws: JSONError.tooDeep(limit: limit)) { try JSONValue(parsing: nested(limit + 1)) }
  }
}
