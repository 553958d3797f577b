import Journal
import Projections
import Router

/// Asks the router; an index in which a question meets damage is made again first. Where that can't
/// be done now, the cells' own answers stand.
final class RouterAsking {
  private let session: StoreSession
  private let base: AddressBase
  private var router: CellRouter?
  /// It was tried once to make the index again, in vain: a second try would wait as long.
  private var hasGivenUp = false

  init(session: StoreSession, base: AddressBase) {
    self.session = session
    self.base = base
  }

  /// What `question` gives, and the router that gave it.
  func answer<Answer>(
    _ question: (CellRouter) throws(RouterError) -> Answer
  ) throws(CommandFailure) -> (answer: Answer, router: CellRouter) {
    let first = try ask(question)
    guard !hasGivenUp, let fault = first.damage?.replaceableFault else {
      return (first.answer, first.router)
    }
    do throws(CommandFailure) {
      try session.replaceDamagedIndex(fault)
    } catch {
      giveUp(error)
      return (first.answer, first.router)
    }
    router = nil
    let second = try ask(question)
    return (second.answer, second.router)
  }

  private func ask<Answer>(
    _ question: (CellRouter) throws(RouterError) -> Answer
  ) throws(CommandFailure) -> (answer: Answer, router: CellRouter, damage: ProjectionError?) {
    let router = try openRouter()
    do throws(RouterError) {
      return (try question(router), router, try router.indexDamage())
    } catch {
      throw CommandFailure(error)
    }
  }

  private func openRouter() throws(CommandFailure) -> CellRouter {
    if let router { return router }
    let (made, why) = try session.routerOverCells(base)
    if let why { giveUp(why) }
    router = made
    return made
  }

  private func giveUp(_ why: CommandFailure) {
    hasGivenUp = true
    Console.note(
      "cellmap: The index could not be made again, so the cells are asked: "
        + Console.safe(why.message))
  }
}

extension ProjectionError {
  /// The fault of an index that may simply be made again.
  fileprivate var replaceableFault: IndexFault? {
    switch self {
    case .damaged(let path, let what): .damaged(path: path, what: what)
    case .fault(let fault) where fault.isSafeToReplace: fault
    default: nil
    }
  }
}
